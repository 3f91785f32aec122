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

}  // namespace
}  // namespace catamaran
