// What the agent makes of what it is sent, before the engine or the kernel sees it.
#include <gtest/gtest.h>

#include "vm-backend/agent/agent_backend.h"
#include "vm-backend/agent/guest_identity.h"

namespace catamaran {
namespace {

spec::SandboxSpec HostsSandbox() {
  spec::SandboxSpec sandbox;
  sandbox.set_pod_id("pod");
  sandbox.set_hostname("name");
  sandbox.set_network(spec::POD);
  sandbox.set_network_namespace("/run/catamaran/netns/pod");
  sandbox.set_cgroup_path("/kubepods/burstable/pod");
  sandbox.set_state_directory("/run/catamaran/pods/pod/state");
  sandbox.set_data_directory("/var/lib/catamaran/pods/pod");
  sandbox.mutable_machine()->set_kernel("/boot/vmlinuz");
  sandbox.mutable_guest()->set_random_seed("seed");
  sandbox.mutable_resources()->set_memory_limit_bytes(64 << 20);
  (*sandbox.mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
  return sandbox;
}

TEST(EngineSandbox, NamesNothingOfTheHost) {
  const std::string text = EngineSandbox(HostsSandbox()).SerializeAsString();
  for (const char* path : {"netns", "kubepods", "pods/pod", "vmlinuz", "/var/lib"})
    EXPECT_EQ(text.find(path), std::string::npos) << path;
}

// Groups inside would leave the engine's own nothing of what the machine has.
TEST(EngineSandbox, HasTheWholeMachine) {
  const spec::SandboxSpec engine = EngineSandbox(HostsSandbox());
  EXPECT_FALSE(engine.has_resources());
  EXPECT_EQ(engine.network(), spec::NODE);
  EXPECT_EQ(engine.cgroup_path(), "/pod");
}

// The seed would let a container that reads the engine's records predict the guest's keys.
TEST(EngineSandbox, IsNotToldTheGuestsSeed) {
  EXPECT_FALSE(EngineSandbox(HostsSandbox()).has_guest());
}

TEST(EngineSandbox, KeepsWhatContainersSee) {
  const spec::SandboxSpec engine = EngineSandbox(HostsSandbox());
  EXPECT_EQ(engine.pod_id(), "pod");
  EXPECT_EQ(engine.hostname(), "name");
  EXPECT_EQ(engine.sysctls().at("kernel.shm_rmid_forced"), "1");
}

TEST(GuestSysctls, ThoseOfOtherNamespacesAreLeftToTheEngine) {
  const auto others = ApplyNetworkSysctls(HostsSandbox());
  ASSERT_TRUE(others) << others.error().message;
  EXPECT_EQ(*others, (std::map<std::string, std::string>{{"kernel.shm_rmid_forced", "1"}}));
}

TEST(GuestSysctls, NamesThatLeadOutOfNetAreRefused) {
  for (const char* key :
       {"net/../kernel/ostype", "net/..", "net.//kernel.ostype", "net.ipv4.no_such_thing"}) {
    spec::SandboxSpec sandbox;
    (*sandbox.mutable_sysctls())[key] = "|/evil";
    const auto applied = ApplyNetworkSysctls(sandbox);
    ASSERT_FALSE(applied) << key;
    EXPECT_EQ(applied.error().code, ErrorCode::kInvalidArgument) << key;
    EXPECT_NE(applied.error().message.find(key), std::string::npos) << applied.error().message;
  }
}

}  // namespace
}  // namespace catamaran
