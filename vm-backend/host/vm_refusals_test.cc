#include "vm-backend/host/vm_refusals.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(VmRefusals, PlainPodsAndContainersPass) {
  EXPECT_TRUE(RefuseSandbox({}));
  EXPECT_TRUE(RefuseContainer({}));
}

TEST(VmRefusals, SandboxesThatNeedTheHostsNamespaces) {
  struct Row {
    const char* word;
    void (*ask)(spec::SandboxSpec&);
  };
  const Row rows[] = {
      {"hostNetwork", [](auto& s) { s.set_network(spec::NODE); }},
      {"hostPID", [](auto& s) { s.set_pid(spec::NODE); }},
      {"hostIPC", [](auto& s) { s.set_ipc(spec::NODE); }},
      {"interfaces", [](auto& s) { s.add_interfaces(), s.add_interfaces(); }},
  };
  for (const Row& row : rows) {
    spec::SandboxSpec sandbox;
    row.ask(sandbox);
    const auto refused = RefuseSandbox(sandbox);
    ASSERT_FALSE(refused) << row.word;
    EXPECT_EQ(refused.error().code, ErrorCode::kUnimplemented);
    EXPECT_NE(refused.error().message.find(row.word), std::string::npos) << refused.error().message;
  }
}

TEST(VmRefusals, ContainersThatNeedTheHostsDevicesProcessesOrMountTable) {
  struct Row {
    const char* word;
    void (*ask)(spec::ContainerSpec&);
  };
  const Row rows[] = {
      {"hostPID", [](auto& c) { c.set_pid(spec::NODE); }},
      {"hooks", [](auto& c) { c.mutable_hooks()->add_prestart(); }},
      {"hooks", [](auto& c) { c.mutable_hooks()->add_create_runtime(); }},
      {"hooks", [](auto& c) { c.mutable_hooks()->add_create_container(); }},
      {"hooks", [](auto& c) { c.mutable_hooks()->add_poststart(); }},
      {"hooks", [](auto& c) { c.mutable_hooks()->add_poststop(); }},
      {"/data: propagation",
       [](auto& c) {
         auto& mount = *c.add_mounts();
         mount.set_container_path("/data");
         mount.set_propagation(spec::BIDIRECTIONAL);
       }},
      {"selinux_relabel", [](auto& c) { c.add_mounts()->set_selinux_relabel(true); }},
  };
  for (const Row& row : rows) {
    spec::ContainerSpec container;
    row.ask(container);
    const auto refused = RefuseContainer(container);
    ASSERT_FALSE(refused) << row.word;
    EXPECT_EQ(refused.error().code, ErrorCode::kUnimplemented);
    EXPECT_NE(refused.error().message.find(row.word), std::string::npos) << refused.error().message;
  }
}

TEST(VmRefusals, NotTheContainersOwnHooks) {
  spec::ContainerSpec container;
  container.mutable_hooks()->add_start_container();
  EXPECT_TRUE(RefuseContainer(container));
}

TEST(VmRefusals, LimitsAboveWhatTheMachineWasMadeFor) {
  spec::SandboxSpec sandbox;
  sandbox.mutable_machine()->set_cpus(1);
  sandbox.mutable_machine()->set_overhead_memory_bytes(64 << 20);
  sandbox.mutable_resources()->set_memory_limit_bytes(100 << 20);  // a guest of 192 MiB
  spec::Resources wanted;
  EXPECT_TRUE(RefuseResize(sandbox, wanted));
  wanted.set_memory_limit_bytes(128 << 20);
  wanted.set_cpu_quota_us(100'000);
  EXPECT_TRUE(RefuseResize(sandbox, wanted));
  wanted.set_memory_limit_bytes((128 << 20) + 1);
  auto refused = RefuseResize(sandbox, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("memory limit 134217729"), std::string::npos)
      << refused.error().message;
  wanted.set_memory_limit_bytes(0);
  wanted.set_cpu_quota_us(50'001);
  wanted.set_cpu_period_us(50'000);
  refused = RefuseResize(sandbox, wanted);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cpu quota 50001 of 50000"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace catamaran
