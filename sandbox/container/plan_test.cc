#include "sandbox/container/plan.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <functional>
#include <map>

#include "sandbox/container/plan_mounts.h"
#include "sandbox/container/stage_channel.h"
#include "sandbox/container/sysctls.h"

namespace catamaran {
namespace {

spec::SandboxSpec Sandbox() {
  spec::SandboxSpec sandbox;
  sandbox.set_pod_id("pod");
  sandbox.set_cgroup_path("/catamaran/pod");
  sandbox.set_state_directory("/run/state");
  sandbox.set_network_namespace("/run/netns/pod");
  sandbox.add_files()->set_container_path("/etc/hosts");
  return sandbox;
}

spec::ContainerSpec Container() {
  spec::ContainerSpec container;
  container.set_container_id("one");
  container.set_pid(spec::CONTAINER);
  container.mutable_rootfs()->add_lower_directories("/image");
  container.mutable_rootfs()->set_writable_directory("/data/one");
  container.mutable_process()->add_args("/bin/true");
  return container;
}

Result<ContainerPlan> Plan(const spec::SandboxSpec& sandbox, const spec::ContainerSpec& container,
                           CgroupView cgroups = {}) {
  return PlanContainer(PlanInput{sandbox, container, std::move(cgroups), "/catamaran/pod/one", {}});
}

std::vector<std::string> Targets(const ContainerPlan& plan) {
  std::vector<std::string> targets;
  for (const auto& mount : plan.mounts) targets.push_back(mount.target);
  return targets;
}

const PlannedMount& MountAt(const ContainerPlan& plan, const std::string& target) {
  return *std::find_if(plan.mounts.begin(), plan.mounts.end(),
                       [&](const auto& mount) { return mount.target == target; });
}

spec::Mount Bind(const std::string& container_path) {
  spec::Mount mount;
  mount.set_container_path(container_path);
  mount.set_host_path("/host");
  return mount;
}

using Strings = std::vector<std::string>;

TEST(MountPlan, ShallowMountsComeBeforeDeepOnes) {
  auto container = Container();
  *container.add_mounts() = Bind("/a/b/c");
  *container.add_mounts() = Bind("/a");
  auto plan = Plan(Sandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(Targets(*plan), (Strings{"/proc", "/dev", "/sys", "/a", "/dev/pts", "/dev/mqueue",
                                     "/dev/shm", "/etc/hosts", "/sys/fs/cgroup", "/a/b/c"}));
}

TEST(MountPlan, RequestsTakeThePlaceOfOurs) {
  auto container = Container();
  *container.add_mounts() = Bind("/dev/shm");
  *container.add_mounts() = Bind("//etc/./");
  auto plan = Plan(Sandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(Targets(*plan), (Strings{"/proc", "/dev", "/sys", "/etc", "/dev/pts", "/dev/mqueue",
                                     "/dev/shm", "/sys/fs/cgroup"}));
  EXPECT_EQ(MountAt(*plan, "/dev/shm").kind, MountKind::kBind);
}

TEST(MountPlan, ARequestedDevBringsItsOwnNodes) {
  auto container = Container();
  *container.add_mounts() = Bind("/dev");
  auto plan = Plan(Sandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_FALSE(plan->makes_devices);
  EXPECT_TRUE(plan->devices.empty());
  EXPECT_EQ(Targets(*plan), (Strings{"/proc", "/sys", "/dev", "/etc/hosts", "/sys/fs/cgroup"}));
}

TEST(MountPlan, EveryV1HierarchyIsBoundReadOnly) {
  auto plan = Plan(Sandbox(), Container(), CgroupView{false, {"memory", "cpu,cpuacct"}});
  ASSERT_TRUE(plan) << plan.error().message;
  const auto& memory = MountAt(*plan, "/sys/fs/cgroup/memory");
  EXPECT_EQ(memory.source, "/sys/fs/cgroup/memory/catamaran/pod/one");
  EXPECT_NE(memory.attributes & MOUNT_ATTR_RDONLY, 0U);
  EXPECT_FALSE(plan->namespaces.new_cgroup);
  EXPECT_TRUE(Plan(Sandbox(), Container())->namespaces.new_cgroup);
}

TEST(MountPlan, OptionsBecomeAttributes) {
  auto container = Container();
  auto mount = Bind("/volume");
  mount.set_readonly(true);
  mount.set_recursive_readonly(true);
  mount.add_options("nosuid");
  *container.add_mounts() = mount;
  auto plan = Plan(Sandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  const auto& planned = MountAt(*plan, "/volume");
  EXPECT_EQ(planned.attributes, static_cast<uint64_t>(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID));
  EXPECT_TRUE(planned.recursive_attributes);
  EXPECT_TRUE(planned.recursive);
}

TEST(MountPlan, AReadOnlyRootMakesTheSandboxsFilesReadOnly) {
  auto container = Container();
  EXPECT_EQ(MountAt(*Plan(Sandbox(), container), "/etc/hosts").attributes, 0U);
  container.mutable_rootfs()->set_readonly(true);
  EXPECT_EQ(MountAt(*Plan(Sandbox(), container), "/etc/hosts").attributes,
            static_cast<uint64_t>(MOUNT_ATTR_RDONLY));
}

TEST(MountPlan, FilesInMemoryHaveTheContainersLabel) {
  auto container = Container();
  container.set_mount_label("u:r:t:s0:c1,c2");
  auto& shared = *container.add_mounts();
  shared.set_container_path("/data");
  shared.set_host_path("/srv/data/");
  shared.set_selinux_relabel(true);
  const auto plan = Plan(Sandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  const auto context = [&](const std::string& target) -> std::string {
    for (const auto& [key, value] : MountAt(*plan, target).parameters)
      if (key == "context") return value;
    return "";
  };
  for (const char* target : {"/dev", "/dev/pts"})
    EXPECT_EQ(context(target), "u:r:t:s0:c1,c2") << target;
  EXPECT_EQ(MountAt(*plan, "/dev/mqueue").label, "u:r:t:s0:c1,c2");
  for (const char* target : {"/proc", "/sys", "/data", "/dev/mqueue"})
    EXPECT_EQ(context(target), "") << target;
  EXPECT_EQ(MountAt(*plan, "/data").label, "u:r:t:s0:c1,c2");
  EXPECT_EQ(MountAt(*plan, "/etc/hosts").label, "");
}

TEST(MountPlan, TheMachinesFoldersAreNotRelabelled) {
  auto container = Container();
  auto& mount = *container.add_mounts();
  mount.set_container_path("/data");
  mount.set_host_path("/usr/");
  mount.set_selinux_relabel(true);
  EXPECT_FALSE(Plan(Sandbox(), container)) << "there is no label";
  container.set_mount_label("u:r:t:s0");
  const auto refused = Plan(Sandbox(), container);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("mounts[0].selinux_relabel: /usr belongs to the machine"),
            std::string::npos)
      << refused.error().message;
}

TEST(NamespacePlan, FollowsPodAndContainer) {
  auto sandbox = Sandbox();
  auto container = Container();
  EXPECT_TRUE(Plan(sandbox, container)->namespaces.new_pid);
  EXPECT_TRUE(Plan(sandbox, container)->namespaces.pod_network);
  sandbox.set_network(spec::NODE);
  sandbox.clear_network_namespace();
  EXPECT_FALSE(Plan(sandbox, container)->namespaces.pod_network);
  EXPECT_FALSE(Plan(sandbox, container)->namespaces.pod_uts);
  container.set_pid(spec::POD);
  sandbox.set_pid(spec::CONTAINER);
  EXPECT_EQ(Plan(sandbox, container).error().code, ErrorCode::kInvalidArgument);
  sandbox.set_pid(spec::POD);
  EXPECT_TRUE(Plan(sandbox, container)->namespaces.pod_pid);
  EXPECT_FALSE(Plan(sandbox, container)->namespaces.new_pid);
}

TEST(ContainerPlan, WrongSpecsAreRefusedByField) {
  const struct {
    const char* named;
    ErrorCode code;
    void (*spoil)(spec::ContainerSpec&);
  } rows[] = {
      {"container_id \"\"", ErrorCode::kInvalidArgument, [](auto& c) { c.clear_container_id(); }},
      {"container_id \"a/b\"", ErrorCode::kInvalidArgument,
       [](auto& c) { c.set_container_id("a/b"); }},
      {"\"shim\"", ErrorCode::kInvalidArgument, [](auto& c) { c.set_container_id("shim"); }},
      {"mounts[0].options \"bind\"", ErrorCode::kInvalidArgument,
       [](auto& c) {
         *c.add_mounts() = Bind("/x");
         c.mutable_mounts(0)->add_options("bind");
       }},
      {"mounts[0].recursive_readonly", ErrorCode::kInvalidArgument,
       [](auto& c) {
         *c.add_mounts() = Bind("/x");
         c.mutable_mounts(0)->set_recursive_readonly(true);
       }},
      {"mounts[0].host_path \"rel\"", ErrorCode::kInvalidArgument,
       [](auto& c) {
         *c.add_mounts() = Bind("/x");
         c.mutable_mounts(0)->set_host_path("rel");
       }},
      {"mounts[0].container_path \"/\"", ErrorCode::kInvalidArgument,
       [](auto& c) { *c.add_mounts() = Bind("/x/../"); }},
      {"mounts[0].container_path \"/proc\"", ErrorCode::kInvalidArgument,
       [](auto& c) { *c.add_mounts() = Bind("/dev/../proc/"); }},
      {"mounts[0].uid_mappings", ErrorCode::kInvalidArgument,
       [](auto& c) {
         *c.add_mounts() = Bind("/x");
         c.mutable_mounts(0)->add_uid_mappings();
       }},
      {"mounts[0].image", ErrorCode::kInvalidArgument,
       [](auto& c) {
         c.add_mounts()->set_container_path("/x");
         c.mutable_mounts(0)->mutable_image();
       }},
      {"mounts[0] has no source", ErrorCode::kInvalidArgument,
       [](auto& c) { c.add_mounts()->set_container_path("/x"); }},
      {"rootfs.writable_directory", ErrorCode::kInvalidArgument,
       [](auto& c) { c.mutable_rootfs()->clear_writable_directory(); }},
      {"masked_paths", ErrorCode::kInvalidArgument,
       [](auto& c) { c.add_masked_paths("relative"); }},
      {"pid_target", ErrorCode::kInvalidArgument, [](auto& c) { c.set_pid(spec::TARGET); }},
      {"zero byte", ErrorCode::kInvalidArgument,
       [](auto& c) { c.mutable_process()->add_args(std::string("a\0b", 3)); }},
  };
  for (const auto& row : rows) {
    auto container = Container();
    row.spoil(container);
    auto plan = Plan(Sandbox(), container);
    ASSERT_FALSE(plan) << row.named;
    EXPECT_EQ(plan.error().code, row.code) << row.named;
    EXPECT_NE(plan.error().message.find(row.named), std::string::npos) << plan.error().message;
  }
}

spec::SandboxSpec MappedSandbox(uint32_t length = 65536) {
  auto sandbox = Sandbox();
  for (auto* range : {sandbox.mutable_user_namespace()->add_uids(),
                      sandbox.mutable_user_namespace()->add_gids()}) {
    range->set_host_id(100000);
    range->set_length(length);
  }
  return sandbox;
}

TEST(UserNamespacePlan, WhatTheMachinesRootMakesBelongsToTheContainers) {
  const auto plan = Plan(MappedSandbox(), Container());
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->id_maps, (IdMaps{"0 100000 65536\n", "0 100000 65536\n"}));
  EXPECT_EQ(plan->root_uid, 100000U);
  EXPECT_EQ(plan->root_gid, 100000U);
  for (const auto& device : plan->devices) EXPECT_EQ(device.uid, 100000U) << device.path;
  const auto tty = std::pair<std::string, std::string>("gid", "100005");
  for (const auto& mount : plan->mounts)
    if (mount.type == "devpts") {
      EXPECT_EQ(mount.parameters.back(), tty);
    }
}

TEST(UserNamespacePlan, AGroupThatIsNotMappedGetsNoTerminals) {
  const auto plan = Plan(MappedSandbox(3), Container());
  ASSERT_TRUE(plan) << plan.error().message;
  for (const auto& mount : plan->mounts)
    if (mount.type == "devpts") {
      EXPECT_EQ(mount.parameters.back().first, "mode");
    }
}

TEST(UserNamespacePlan, AMountHasItsOwnMapsAndAnImageThoseOfThePod) {
  auto container = Container();
  auto* volume = container.add_mounts();
  volume->set_host_path("/v");
  volume->set_container_path("/v");
  for (auto* range : {volume->add_uid_mappings(), volume->add_gid_mappings()}) {
    range->set_host_id(7);
    range->set_length(1);
  }
  auto* plain = container.add_mounts();
  plain->set_host_path("/plain");
  plain->set_container_path("/plain");
  auto* image = container.add_mounts();
  image->mutable_image()->mutable_rootfs()->add_layers()->set_blob("/blob");
  image->set_container_path("/image");
  image->set_readonly(true);
  EXPECT_FALSE(Plan(Sandbox(), container)) << "maps without a user namespace";
  const auto plan = Plan(MappedSandbox(), container);
  ASSERT_TRUE(plan) << plan.error().message;
  std::map<std::string, std::optional<IdMaps>> maps;
  for (const auto& mount : plan->mounts) maps[mount.target] = mount.id_maps;
  EXPECT_EQ(maps["/v"], (IdMaps{"0 7 1\n", "0 7 1\n"}));
  EXPECT_EQ(maps["/plain"], std::nullopt);
  EXPECT_EQ(maps["/image"], plan->id_maps);
}

TEST(UserNamespacePlan, BadOnesAreRefusedByName) {
  const struct {
    const char* named;
    std::function<void(spec::SandboxSpec&)> spoil;
  } rows[] = {
      {"user_namespace.uids: id 0", [](auto& s) { s.mutable_user_namespace()->clear_uids(); }},
      {"user_namespace.gids: id 0",
       [](auto& s) { s.mutable_user_namespace()->mutable_gids(0)->set_container_id(1); }},
      {"user_namespace.uids[0]: length 0",
       [](auto& s) { s.mutable_user_namespace()->mutable_uids(0)->set_length(0); }},
      {"user_namespace.uids[0]: length 4294967295",
       [](auto& s) { s.mutable_user_namespace()->mutable_uids(0)->set_length(UINT32_MAX); }},
      {"pid or ipc", [](auto& s) { s.set_pid(spec::NODE); }},
      {"pid or ipc", [](auto& s) { s.set_ipc(spec::NODE); }},
  };
  EXPECT_TRUE(ValidateSandbox(MappedSandbox()));
  for (const auto& row : rows) {
    auto sandbox = MappedSandbox();
    row.spoil(sandbox);
    const auto valid = ValidateSandbox(sandbox);
    ASSERT_FALSE(valid) << row.named;
    EXPECT_EQ(valid.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(valid.error().message.find(row.named), std::string::npos) << valid.error().message;
  }
}

TEST(UserNamespacePlan, BidirectionalPropagationIsRefused) {
  auto container = Container();
  auto* mount = container.add_mounts();
  mount->set_host_path("/v");
  mount->set_container_path("/v");
  mount->set_propagation(spec::BIDIRECTIONAL);
  EXPECT_TRUE(Plan(Sandbox(), container));
  EXPECT_FALSE(Plan(MappedSandbox(), container));
}

TEST(SysctlPlan, DotsAndSlashesAreRead) {
  EXPECT_EQ(*SysctlPath(Sandbox(), "net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(*SysctlPath(Sandbox(), "net/ipv4/conf/eth0.1/forwarding"),
            "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(*SysctlPath(Sandbox(), "net.ipv4.conf.eth0/1.forwarding"),
            "net/ipv4/conf/eth0.1/forwarding");
  auto node = Sandbox();
  node.set_network(spec::NODE);
  EXPECT_FALSE(SysctlPath(node, "net.ipv4.ip_forward"));
}

TEST(StageOrder, MessagesOutOfTurnAreRefused) {
  StageOrder order;
  EXPECT_FALSE(StageOrder().Started()) << "not before Prepared";
  EXPECT_FALSE(StageOrder().Continued()) << "not before Built";
  EXPECT_TRUE(order.Received(StageMessage::Kind::kBuilt));
  EXPECT_FALSE(StageOrder(order).Received(StageMessage::Kind::kPrepared)) << "it has to wait";
  EXPECT_TRUE(order.Continued());
  EXPECT_FALSE(StageOrder().Received(StageMessage::Kind::kStart));
  ASSERT_TRUE(order.Received(StageMessage::Kind::kDescriptor));
  ASSERT_TRUE(order.Received(StageMessage::Kind::kPrepared));
  EXPECT_FALSE(order.Received(StageMessage::Kind::kPrepared));
  EXPECT_FALSE(order.Received(StageMessage::Kind::kDescriptor));
  EXPECT_FALSE(order.ran_at_end());
  ASSERT_TRUE(order.Started());
  EXPECT_TRUE(order.ran_at_end());
  ASSERT_TRUE(order.Received(StageMessage::Kind::kFailed));
  EXPECT_FALSE(order.ran_at_end());
  EXPECT_FALSE(order.Received(StageMessage::Kind::kFailed)) << "Failed is the last";
}

TEST(StageChannel, CarriesErrorsUsersAndDescriptors) {
  auto ends = StageChannel::Make().value();
  ASSERT_TRUE(ends.child.SendDescriptor("null", 0));
  ASSERT_TRUE(ends.child.SendFailed(Error{ErrorCode::kNotFound, ENOENT, "no such thing"}));
  auto first = ends.parent.Receive();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->name, "null");
  EXPECT_TRUE((*first)->descriptor.valid());
  auto second = ends.parent.Receive();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->error.code, ErrorCode::kNotFound);
  EXPECT_EQ((*second)->error.system_errno, ENOENT);
  EXPECT_EQ((*second)->error.message, "no such thing");
  EXPECT_EQ(ends.parent.Receive().error().system_errno, EAGAIN);
}

}  // namespace
}  // namespace catamaran
