// What only a virtual machine must show: a kernel and an identity of its own.
#include <set>

#include "e2e/harness/guest_clock.h"
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

constexpr int kClockPort = 1230;
constexpr std::chrono::milliseconds kMostClockError{100};

class VirtualMachines : public PodTest {
 protected:
  v1::ContainerConfig ClockConfig() {
    return ContainerConfig("clock", {"/bin/probe", "clock", std::to_string(kClockPort)});
  }
};

TEST_P(VirtualMachines, NoTwoOfTenClonesShareAnythingOfTheirTemplatesAndTheirClocksAreRight) {
  constexpr size_t kClones = 10;
  std::map<std::string, std::set<std::string>> seen;
  std::vector<std::string> pods, containers;
  for (size_t i = 0; i < kClones; ++i) {
    const std::string pod = RunPod();
    ASSERT_FALSE(pod.empty());
    const MachineFacts facts = CheckMachine(pod);
    EXPECT_EQ(facts.start, "restored") << facts.why_not_restored;
    EXPECT_EQ(facts.machine_id.size(), 32u) << facts.text;
    seen["machine-id"].insert(facts.machine_id);
    seen["boot_id in the status"].insert(facts.boot_id);
    pods.push_back(pod);
    containers.push_back(CreateAndStart(pod, ClockConfig()));
  }
  const std::map<std::string, std::string> scripts = {
      {"getrandom", "probe random"},
      {"/dev/urandom", "head -c 32 /dev/urandom | hexdump -C"},
      {"boot_id", "cat /proc/sys/kernel/random/boot_id"},
      {"uuid", "cat /proc/sys/kernel/random/uuid"},
      {"MAC", "cat /sys/class/net/eth0/address"},
      {"IP", "ip -4 -o addr show dev eth0"}};
  for (const std::string& container : containers) {
    for (const auto& [what, script] : scripts) seen[what].insert(Output(container, script));
  }
  for (const auto& [what, values] : seen) EXPECT_EQ(values.size(), kClones) << what;
  for (const std::string& pod : pods) {
    auto clock = ReadClockOf(IpOf(pod), kClockPort, std::chrono::seconds(30));
    ASSERT_TRUE(clock) << clock.error().message;
    EXPECT_LT(clock->Worst(), kMostClockError)
        << clock->offset.count() << " ns, +- " << clock->error.count();
  }
}

TEST_P(VirtualMachines, TheClockStaysTheHosts) {
  const std::string pod = RunPod();
  CreateAndStart(pod, ClockConfig());
  for (int reading = 0; reading < 3; ++reading) {
    auto clock = ReadClockOf(IpOf(pod), kClockPort, std::chrono::seconds(10));
    ASSERT_TRUE(clock) << clock.error().message;
    EXPECT_LT(clock->Worst(), kMostClockError)
        << clock->offset.count() << " ns, +- " << clock->error.count();
  }
}

TEST_P(VirtualMachines, TheContainersKernelIsTheGuests) {
  const std::string id = StartSleeper(RunPod());
  // /proc/version of the guest, never the host's, whatever the verbose status claims.
  EXPECT_NE(Output(id, "cat /proc/sys/kernel/random/boot_id"),
            RunProgram({"/bin/cat", "/proc/sys/kernel/random/boot_id"}).output);
  EXPECT_NE(Output(id, "uname -r"), RunProgram({"/bin/uname", "-r"}).output);
}

INSTANTIATE_TEST_SUITE_P(On, VirtualMachines, ::testing::Values(kVm),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace catamaran::e2e
