// What only a virtual machine must show: a kernel and an identity of its own.
#include <set>

#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

class VirtualMachines : public PodTest {};

TEST_P(VirtualMachines, NoTwoOfTenShareRandomNumbersBootIdentityOrAddresses) {
  std::map<std::string, std::set<std::string>> seen;
  std::vector<std::string> containers;
  for (int i = 0; i < 10; ++i) containers.push_back(StartSleeper(RunPod()));
  const std::map<std::string, std::string> scripts = {
      {"getrandom", "head -c 16 /dev/urandom | hexdump -C"},
      {"boot_id", "cat /proc/sys/kernel/random/boot_id"},
      {"uuid", "cat /proc/sys/kernel/random/uuid"},
      {"MAC", "cat /sys/class/net/eth0/address"},
      {"IP", "ip -4 -o addr show dev eth0"}};
  for (const std::string& container : containers) {
    for (const auto& [what, script] : scripts) seen[what].insert(Output(container, script));
  }
  for (const auto& [what, values] : seen) EXPECT_EQ(values.size(), containers.size()) << what;
}

TEST_P(VirtualMachines, TheClockIsTheHosts) {
  using Clock = std::chrono::system_clock;
  const std::string id = StartSleeper(RunPod());
  const auto before = Clock::now();
  // The only program of busybox that shows parts of a second.
  const std::string text =
      Output(id, "adjtimex | sed -n 's/^ *time.tv_[u]*sec: *//p' | tr '\\n' ' '");
  const auto after = Clock::now();
  double whole = 0, micro = 0;
  ASSERT_EQ(sscanf(text.c_str(), "%lf %lf", &whole, &micro), 2) << text;
  const double guest = whole + micro / 1e6;
  const auto seconds = [](Clock::time_point time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
  };
  EXPECT_GT(guest - seconds(before), -0.1);
  EXPECT_LT(guest - seconds(after), 0.1);
}

TEST_P(VirtualMachines, TheContainersKernelIsTheGuests) {
  const std::string id = StartSleeper(RunPod());
  // /proc/version of the guest, never the host's, whatever the verbose status claims.
  EXPECT_NE(Output(id, "cat /proc/sys/kernel/random/boot_id"),
            RunProgram({"/bin/cat", "/proc/sys/kernel/random/boot_id"}).output);
  EXPECT_NE(Output(id, "uname -r"), RunProgram({"/bin/uname", "-r"}).output);
}

INSTANTIATE_TEST_SUITE_P(On, VirtualMachines, ::testing::Values("vm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace catamaran::e2e
