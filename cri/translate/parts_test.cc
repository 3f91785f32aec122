// Parts of requests by themselves: updates, signals, names, sources of mounts.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "cri/translate/test_input.h"

namespace catamaran {
namespace {

TEST(MergedResources, KeepWhatAnUpdateDoesNotName) {
  v1::LinuxContainerResources resources;
  resources.set_cpu_shares(100);
  resources.set_memory_limit_in_bytes(1 << 30);
  resources.add_hugepage_limits()->set_page_size("2MB");
  v1::LinuxContainerResources update;
  update.set_memory_limit_in_bytes(2 << 30 >> 1);
  update.add_hugepage_limits()->set_page_size("2MB");
  update.mutable_hugepage_limits(0)->set_limit(4 << 20);
  (*update.mutable_unified())["memory.high"] = "5";
  MergeResources(update, &resources);
  EXPECT_EQ(resources.cpu_shares(), 100);
  ASSERT_EQ(resources.hugepage_limits_size(), 1);
  EXPECT_EQ(resources.hugepage_limits(0).limit(), 4u << 20);
  EXPECT_EQ(resources.unified().at("memory.high"), "5");
}

TEST(Signals, GoFromTheInterfacesNumbersToTheSystemsAndBack) {
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGTERM), 15);
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGKILL), 9);
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGRTMIN), 34);
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGRTMINPLUS15), 49);
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGRTMAXMINUS14), 50);
  EXPECT_EQ(SignalNumber(v1::SIGNAL_SIGRTMAX), 64);
  for (int number = 1; number <= 64; ++number) {
    if (number == 32 || number == 33) continue;  // the C library's own
    EXPECT_EQ(SignalNumber(CriSignal(number)), number) << number;
  }
}

TEST(Signals, HaveManyNames) {
  for (const char* name : {"SIGTERM", "TERM", "sigterm", "15"}) EXPECT_EQ(SignalNumber(name), 15);
  EXPECT_EQ(SignalNumber(std::string("SIGRTMIN+3")), 37);
  EXPECT_EQ(SignalNumber(std::string("RTMAX-1")), 63);
  for (const char* name : {"", "0", "65", "SIG", "RTMIN+31", "TERMINATE", "15x"}) {
    auto number = SignalNumber(std::string(name));
    ASSERT_FALSE(number) << name;
    EXPECT_EQ(number.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Names, TellDifferentPodsApart) {
  v1::PodSandboxMetadata one, other;
  one.set_name("a_b");
  one.set_namespace_("c");
  one.set_uid("u");
  other = one;
  other.set_name("a");
  other.set_namespace_("b_c");
  EXPECT_NE(SandboxName(one).value_or("1"), SandboxName(other).value_or("2"));
  other = one;
  other.set_attempt(1);
  EXPECT_NE(SandboxName(one).value_or("1"), SandboxName(other).value_or("1"));
}

TEST(Ids, AreWords) {
  EXPECT_TRUE(CheckId("pod_sandbox_id", std::string(64, 'a')));
  EXPECT_TRUE(CheckId("pod_sandbox_id", "0f3a2f7e-aaaa-bbbb-cccc-123456789012"));
  for (const char* id : {"", "..", "a/b", "a b", "\n"}) EXPECT_FALSE(CheckId("container_id", id));
}

TEST(MountSources, AreMadeWhereTheyAreMissing) {
  const std::string base = testing::TempDir() + "/sources-" + std::to_string(getpid());
  spec::ContainerSpec container;
  container.add_mounts()->set_host_path(base + "/a/b");
  ASSERT_TRUE(PrepareMountSources(container));
  EXPECT_TRUE(std::filesystem::is_directory(base + "/a/b"));
  std::filesystem::remove_all(base);
}

// A mount of this machine that is shared with no other; empty: there is none.
std::string MountThatIsNotShared() {
  std::map<std::string, bool> shared;  // what was mounted last at a place is what is seen there
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string place;
    for (int field = 0; field < 5; ++field) fields >> place;
    shared[place] = line.find("shared:") != std::string::npos;
  }
  for (const auto& [place, is_shared] : shared)
    if (!is_shared && place.find('\\') == std::string::npos) return place;
  return "";
}

TEST(MountSources, MustLieOnASharedMountToPropagate) {
  const std::string place = MountThatIsNotShared();
  if (place.empty()) GTEST_SKIP() << "every mount of this machine is shared, and root is not asked";
  spec::ContainerSpec container;
  container.add_mounts()->set_host_path(place);
  container.mutable_mounts(0)->set_propagation(spec::BIDIRECTIONAL);
  auto checked = PrepareMountSources(container);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace catamaran
