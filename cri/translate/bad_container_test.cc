// Every way in which a CreateContainer request can be impossible, and what its refusal says.
#include <gtest/gtest.h>

#include "cri/translate/test_input.h"

namespace catamaran {
namespace {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
void SetDeprecated(TestInput& in, const char* seccomp, const char* apparmor) {
  in.security()->set_seccomp_profile_path(seccomp);
  in.security()->set_apparmor_profile(apparmor);
}
#pragma GCC diagnostic pop

class BadContainer : public testing::TestWithParam<BadRequest> {};

TEST_P(BadContainer, IsRefusedNamingFieldValueAndRemedy) {
  TestInput input;
  ASSERT_TRUE(input.Container(GetParam().in_vm))
      << input.Container(GetParam().in_vm).error().message;
  GetParam().bend(input);
  auto spec = input.Container(GetParam().in_vm);
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, GetParam().code);
  EXPECT_NE(spec.error().message.find(GetParam().expected), std::string::npos)
      << spec.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Process, BadContainer,
    testing::Values(
        BadRequest{"NoMetadata", [](TestInput& in) { in.container.clear_metadata(); },
                   "config.metadata.name: ''"},
        BadRequest{"NameWithSlash",
                   [](TestInput& in) { in.container.mutable_metadata()->set_name("a/b"); },
                   "config.metadata.name: 'a/b'"},
        BadRequest{"NothingToRun", [](TestInput& in) { in.image.config.command.clear(); },
                   "config.command: '' is wrong: must be a program"},
        BadRequest{"NulInArgs",
                   [](TestInput& in) { in.container.add_args(std::string("a\0b", 3)); },
                   "config.args[0]: 'a\\x00b'"},
        BadRequest{"EnvWithoutName", [](TestInput& in) { in.container.add_envs()->set_value("x"); },
                   "config.envs[0].key: ''"},
        BadRequest{"EnvNameWithEquals",
                   [](TestInput& in) { in.container.add_envs()->set_key("A=B"); },
                   "config.envs[0].key: 'A=B'"},
        BadRequest{"RelativeWorkingDirectory",
                   [](TestInput& in) { in.container.set_working_dir("app"); },
                   "config.working_dir: 'app'"},
        BadRequest{"DotsInWorkingDirectory",
                   [](TestInput& in) { in.container.set_working_dir("/a/../../.."); },
                   "config.working_dir: '/a/../../..'"},
        BadRequest{"GroupWithoutUser",
                   [](TestInput& in) { in.security()->mutable_run_as_group()->set_value(7); },
                   "run_as_group: 7 is wrong: must be absent without run_as_user"},
        BadRequest{"NegativeUser",
                   [](TestInput& in) { in.security()->mutable_run_as_user()->set_value(-2); },
                   "run_as_user: -2"},
        BadRequest{
            "UserTooLarge",
            [](TestInput& in) { in.security()->mutable_run_as_user()->set_value(1LL << 31); },
            "run_as_user: 2147483648"},
        BadRequest{"NegativeGroup",
                   [](TestInput& in) {
                     in.security()->mutable_run_as_user()->set_value(1);
                     in.security()->mutable_run_as_group()->set_value(-1);
                   },
                   "run_as_group: -1"},
        BadRequest{"UserNameWithGroup",
                   [](TestInput& in) { in.security()->set_run_as_username("www:staff"); },
                   "run_as_username: 'www:staff'"},
        BadRequest{"SupplementalGroup",
                   [](TestInput& in) { in.security()->add_supplemental_groups(-4); },
                   "supplemental_groups[0]: -4"},
        BadRequest{"GroupsPolicy",
                   [](TestInput& in) {
                     in.security()->set_supplemental_groups_policy(
                         static_cast<v1::SupplementalGroupsPolicy>(5));
                   },
                   "supplemental_groups_policy: 5"},
        BadRequest{"StopSignal",
                   [](TestInput& in) { in.container.set_stop_signal(static_cast<v1::Signal>(99)); },
                   "stop_signal: 99"},
        BadRequest{"StopSignalOfTheImage",
                   [](TestInput& in) { in.image.config.stop_signal = "SIGNOPE"; },
                   "the image's configuration: stop_signal: 'SIGNOPE'"},
        BadRequest{"AbsoluteLogPath",
                   [](TestInput& in) { in.container.set_log_path("/etc/passwd"); },
                   "config.log_path: '/etc/passwd'"},
        BadRequest{"DotsInLogPath",
                   [](TestInput& in) { in.container.set_log_path("../../../etc/passwd"); },
                   "config.log_path: '../../../etc/passwd'"},
        BadRequest{"Windows", [](TestInput& in) { in.container.mutable_windows(); },
                   "config.windows", false, ErrorCode::kUnimplemented}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Security, BadContainer,
    testing::Values(
        BadRequest{"UnknownCapability",
                   [](TestInput& in) {
                     in.security()->mutable_capabilities()->add_add_capabilities("FLY");
                   },
                   "capabilities.add_capabilities[0]: 'FLY'"},
        BadRequest{"UnknownDroppedCapability",
                   [](TestInput& in) {
                     in.security()->mutable_capabilities()->add_drop_capabilities("NET_ROW");
                   },
                   "capabilities.drop_capabilities[0]: 'NET_ROW'"},
        BadRequest{"UnknownAmbientCapability",
                   [](TestInput& in) {
                     in.security()->mutable_capabilities()->add_add_ambient_capabilities("FLY");
                   },
                   "capabilities.add_ambient_capabilities[0]: 'FLY'"},
        BadRequest{"PrivilegedInAPlainSandbox",
                   [](TestInput& in) { in.security()->set_privileged(true); },
                   "privileged: 'true' is wrong: must be false in a sandbox"},
        BadRequest{"SeccompWithoutProfile",
                   [](TestInput& in) {
                     in.security()->mutable_seccomp()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                   },
                   "seccomp.localhost_ref: ''"},
        BadRequest{"SeccompReferenceWithoutLocalhost",
                   [](TestInput& in) { in.security()->mutable_seccomp()->set_localhost_ref("/p"); },
                   "seccomp.localhost_ref: '/p' is wrong: must be empty"},
        BadRequest{"RelativeSeccomp",
                   [](TestInput& in) {
                     in.security()->mutable_seccomp()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                     in.security()->mutable_seccomp()->set_localhost_ref("localhost/p.json");
                   },
                   "seccomp.localhost_ref: 'p.json'"},
        BadRequest{"AbsentSeccomp",
                   [](TestInput& in) {
                     in.security()->mutable_seccomp()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                     in.security()->mutable_seccomp()->set_localhost_ref("/no/such.json");
                   },
                   "seccomp.localhost_ref: '/no/such.json' is wrong: must be a readable profile"},
        BadRequest{"SeccompIsNoJson",
                   [](TestInput& in) {
                     in.security()->mutable_seccomp()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                     in.security()->mutable_seccomp()->set_localhost_ref("/proc/self/status");
                   },
                   "a file that holds a JSON object"},
        BadRequest{"SeccompType",
                   [](TestInput& in) {
                     in.security()->mutable_seccomp()->set_profile_type(
                         static_cast<v1::SecurityProfile::ProfileType>(8));
                   },
                   "seccomp.profile_type: 8"},
        BadRequest{"AppArmorOnAHostWithout",
                   [](TestInput& in) {
                     in.security()->mutable_apparmor()->set_profile_type(
                         v1::SecurityProfile::RuntimeDefault);
                   },
                   "apparmor: 'RuntimeDefault' is wrong: must be Unconfined: this host has no"},
        BadRequest{"AppArmorWithoutAParser",
                   [](TestInput& in) {
                     in.host.apparmor = true;
                     in.security()->mutable_apparmor()->set_profile_type(
                         v1::SecurityProfile::RuntimeDefault);
                   },
                   "apparmor: 'RuntimeDefault' is wrong: must be Unconfined or Localhost"},
        BadRequest{"AppArmorProfileIsNotLoaded",
                   [](TestInput& in) {
                     in.host.apparmor = true;
                     in.host.apparmor_profiles = {"web"};
                     in.security()->mutable_apparmor()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                     in.security()->mutable_apparmor()->set_localhost_ref("db");
                   },
                   "apparmor.localhost_ref: 'db'"},
        BadRequest{"DeprecatedSeccomp", [](TestInput& in) { SetDeprecated(in, "default", ""); },
                   "seccomp_profile_path: 'default' is wrong: must be runtime/default"},
        BadRequest{"DeprecatedAppArmor", [](TestInput& in) { SetDeprecated(in, "", "web"); },
                   "apparmor_profile: 'web' is wrong: must be runtime/default"},
        BadRequest{"SelinuxOnAHostWithout",
                   [](TestInput& in) {
                     in.security()->mutable_selinux_options()->set_type("container_t");
                   },
                   "selinux_options: '::container_t:'"},
        BadRequest{"SelinuxTypeThatIsMore",
                   [](TestInput& in) {
                     in.host.selinux = true;
                     in.security()->mutable_selinux_options()->set_type("container_t:s0");
                   },
                   "selinux_options: '::container_t:s0:'"},
        BadRequest{"MaskedPath",
                   [](TestInput& in) { in.security()->add_masked_paths("proc/kcore"); },
                   "masked_paths[0]: 'proc/kcore'"},
        BadRequest{"ReadonlyPath",
                   [](TestInput& in) { in.security()->add_readonly_paths("/proc/../sys"); },
                   "readonly_paths[0]: '/proc/../sys'"},
        BadRequest{
            "NodePidInAPodSandbox",
            [](TestInput& in) { in.security()->mutable_namespace_options()->set_pid(v1::NODE); },
            "namespace_options.pid: 'NODE'"},
        BadRequest{"NodeNetworkInAPodSandbox",
                   [](TestInput& in) {
                     in.security()->mutable_namespace_options()->set_network(v1::NODE);
                   },
                   "namespace_options.network: 'NODE'"},
        BadRequest{
            "TargetWithoutId",
            [](TestInput& in) { in.security()->mutable_namespace_options()->set_pid(v1::TARGET); },
            "namespace_options.target_id: ''"},
        BadRequest{
            "IdWithoutTarget",
            [](TestInput& in) { in.security()->mutable_namespace_options()->set_target_id("abc"); },
            "namespace_options.target_id: 'abc'"},
        BadRequest{"OtherUsersThanTheSandbox",
                   [](TestInput& in) {
                     auto* users =
                         in.security()->mutable_namespace_options()->mutable_userns_options();
                     users->set_mode(v1::POD);
                     for (auto* mapping : {users->add_uids(), users->add_gids()}) {
                       mapping->set_host_id(5000);
                       mapping->set_length(10);
                     }
                   },
                   "userns_options: 'POD' is wrong: must be the same as the sandbox's"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Mounts, BadContainer,
    testing::Values(
        BadRequest{"RelativeTarget",
                   [](TestInput& in) { in.AddMount()->set_container_path("data"); },
                   "config.mounts[0].container_path: 'data'"},
        BadRequest{"NoTarget", [](TestInput& in) { in.AddMount()->clear_container_path(); },
                   "config.mounts[0].container_path: ''"},
        BadRequest{"TargetIsTheRoot",
                   [](TestInput& in) { in.AddMount()->set_container_path("//"); },
                   "config.mounts[0].container_path: '/'"},
        BadRequest{"DotsInTarget",
                   [](TestInput& in) { in.AddMount()->set_container_path("/a/../../b"); },
                   "container_path: '/a/../../b'"},
        BadRequest{"NoSource", [](TestInput& in) { in.AddMount()->clear_host_path(); },
                   "config.mounts[0].host_path: ''"},
        BadRequest{"RelativeSource", [](TestInput& in) { in.AddMount()->set_host_path("etc"); },
                   "config.mounts[0].host_path: 'etc'"},
        BadRequest{"Propagation",
                   [](TestInput& in) {
                     in.AddMount()->set_propagation(static_cast<v1::MountPropagation>(4));
                   },
                   "config.mounts[0].propagation: 4"},
        BadRequest{"RecursiveButWritable",
                   [](TestInput& in) { in.AddMount()->set_recursive_read_only(true); },
                   "recursive_read_only: 'true' is wrong: must be false unless readonly"},
        BadRequest{"RecursiveButShared",
                   [](TestInput& in) {
                     auto* mount = in.AddMount();
                     mount->set_readonly(true);
                     mount->set_recursive_read_only(true);
                     mount->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
                   },
                   "unless propagation is PROPAGATION_PRIVATE"},
        BadRequest{"ImageAndPath",
                   [](TestInput& in) { in.AddMount()->mutable_image()->set_image("busybox"); },
                   "config.mounts[0].host_path: '/usr' is wrong: must be empty where image is set"},
        BadRequest{"WritableImage",
                   [](TestInput& in) {
                     auto* mount = in.AddMount();
                     mount->clear_host_path();
                     mount->mutable_image()->set_image("busybox");
                   },
                   "config.mounts[0].readonly: 'false'"},
        BadRequest{"SubPathWithoutImage",
                   [](TestInput& in) { in.AddMount()->set_image_sub_path("a"); },
                   "image_sub_path: 'a' is wrong: must be empty without image"},
        BadRequest{"SubPathLeavesTheImage",
                   [](TestInput& in) {
                     auto* mount = in.AddMount();
                     mount->clear_host_path();
                     mount->set_readonly(true);
                     mount->mutable_image()->set_image("busybox");
                     mount->set_image_sub_path("../etc");
                   },
                   "image_sub_path: '../etc'"},
        BadRequest{"MountOption", [](TestInput& in) { in.AddMount()->add_mount_options("suid"); },
                   "config.mounts[0].mount_options[0]: 'suid'"},
        BadRequest{"MappingsWithoutUserNamespace",
                   [](TestInput& in) { in.AddMount()->add_uidmappings()->set_length(1); },
                   "config.mounts[0].uidMappings: 1"},
        BadRequest{
            "VmPropagation",
            [](TestInput& in) { in.AddMount()->set_propagation(v1::PROPAGATION_BIDIRECTIONAL); },
            "propagation: 'PROPAGATION_BIDIRECTIONAL'", true},
        BadRequest{
            "VmDeviceAsVolume", [](TestInput& in) { in.AddMount()->set_host_path("/dev/null"); },
            "config.mounts[0].host_path: '/dev/null' is wrong: must be a file or a folder", true},
        BadRequest{"DeviceIsAFile",
                   [](TestInput& in) { in.container.add_devices()->set_host_path("/etc/passwd"); },
                   "config.devices[0].host_path: '/etc/passwd'"},
        BadRequest{"DeviceIsAbsent",
                   [](TestInput& in) { in.container.add_devices()->set_host_path("/dev/no-such"); },
                   "config.devices[0].host_path: '/dev/no-such' is wrong: must be a device that"},
        BadRequest{"DevicePermissions",
                   [](TestInput& in) {
                     auto* device = in.container.add_devices();
                     device->set_host_path("/dev/null");
                     device->set_permissions("rx");
                   },
                   "config.devices[0].permissions: 'rx'"},
        BadRequest{"DeviceTarget",
                   [](TestInput& in) {
                     auto* device = in.container.add_devices();
                     device->set_host_path("/dev/null");
                     device->set_container_path("null");
                   },
                   "config.devices[0].container_path: 'null'"},
        BadRequest{"VmDevice",
                   [](TestInput& in) { in.container.add_devices()->set_host_path("/dev/null"); },
                   "config.devices[0].host_path: '/dev/null' is wrong: must be a block device",
                   true}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Resources, BadContainer,
    testing::Values(
        BadRequest{"NegativeMemory",
                   [](TestInput& in) { in.resources()->set_memory_limit_in_bytes(-1); },
                   "config.linux.resources.memory_limit_in_bytes: -1"},
        BadRequest{"HardlyAnyMemory",
                   [](TestInput& in) { in.resources()->set_memory_limit_in_bytes(4096); },
                   "memory_limit_in_bytes: 4096 is wrong: must be 0 or at least 1048576"},
        BadRequest{"SwapBelowMemory",
                   [](TestInput& in) {
                     in.resources()->set_memory_limit_in_bytes(64 << 20);
                     in.resources()->set_memory_swap_limit_in_bytes(32 << 20);
                   },
                   "memory_swap_limit_in_bytes: 33554432"},
        BadRequest{"SwapWithoutMemory",
                   [](TestInput& in) { in.resources()->set_memory_swap_limit_in_bytes(32 << 20); },
                   "memory_swap_limit_in_bytes: 33554432 is wrong: must be 0 where"},
        BadRequest{"NegativeSwap",
                   [](TestInput& in) { in.resources()->set_memory_swap_limit_in_bytes(-2); },
                   "memory_swap_limit_in_bytes: -2"},
        BadRequest{"Shares", [](TestInput& in) { in.resources()->set_cpu_shares(262145); },
                   "cpu_shares: 262145"},
        BadRequest{"NegativeShares", [](TestInput& in) { in.resources()->set_cpu_shares(-1); },
                   "cpu_shares: -1"},
        BadRequest{"Period", [](TestInput& in) { in.resources()->set_cpu_period(999); },
                   "cpu_period: 999"},
        BadRequest{"Quota", [](TestInput& in) { in.resources()->set_cpu_quota(-7); },
                   "cpu_quota: -7"},
        BadRequest{"Cpus", [](TestInput& in) { in.resources()->set_cpuset_cpus("0-"); },
                   "cpuset_cpus: '0-'"},
        BadRequest{"CpusBackwards", [](TestInput& in) { in.resources()->set_cpuset_cpus("3-1"); },
                   "cpuset_cpus: '3-1'"},
        BadRequest{"CpuThatIsNotThere",
                   [](TestInput& in) { in.resources()->set_cpuset_cpus("0,4"); },
                   "cpuset_cpus: '0,4' is wrong: must be a list such as 0-3,7 of CPUs below 4"},
        BadRequest{"Nodes", [](TestInput& in) { in.resources()->set_cpuset_mems("a"); },
                   "cpuset_mems: 'a'"},
        BadRequest{"VmCpus", [](TestInput& in) { in.resources()->set_cpuset_cpus("0"); },
                   "cpuset_cpus: '0' is wrong: must be empty for a virtual machine", true},
        BadRequest{"OomScore", [](TestInput& in) { in.resources()->set_oom_score_adj(1001); },
                   "oom_score_adj: 1001"},
        BadRequest{"Hugepages",
                   [](TestInput& in) {
                     auto* limit = in.resources()->add_hugepage_limits();
                     limit->set_page_size("1GB");
                     limit->set_limit(1 << 30);
                   },
                   "hugepage_limits[0].page_size: '1GB' is wrong: must be one of the host's: 2MB"},
        BadRequest{"UnifiedPath",
                   [](TestInput& in) { (*in.resources()->mutable_unified())["../x.y"] = "1"; },
                   "config.linux.resources.unified: '../x.y'"},
        BadRequest{
            "UnifiedCoreFile",
            [](TestInput& in) { (*in.resources()->mutable_unified())["cgroup.procs"] = "1"; },
            "unified: 'cgroup.procs'"},
        BadRequest{
            "UnifiedLines",
            [](TestInput& in) { (*in.resources()->mutable_unified())["memory.high"] = "1\n2"; },
            "unified[memory.high]: '1\\x0a2'"},
        BadRequest{"Pids",
                   [](TestInput& in) { (*in.resources()->mutable_unified())["pids.max"] = "-3"; },
                   "unified[pids.max]: '-3'"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace catamaran
