// Every way in which a RunPodSandbox request can be impossible, and what its refusal says.
#include <gtest/gtest.h>

#include "cri/translate/test_input.h"

namespace catamaran {
namespace {

class BadSandbox : public testing::TestWithParam<BadRequest> {};

TEST_P(BadSandbox, IsRefusedNamingFieldValueAndRemedy) {
  TestInput input;
  ASSERT_TRUE(input.Sandbox(GetParam().in_vm)) << input.Sandbox(GetParam().in_vm).error().message;
  GetParam().bend(input);
  auto spec = input.Sandbox(GetParam().in_vm);
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().code, GetParam().code);
  EXPECT_NE(spec.error().message.find(GetParam().expected), std::string::npos)
      << spec.error().message;
}

v1::NamespaceOption* Options(TestInput& in) {
  return in.pod_security()->mutable_namespace_options();
}

v1::UserNamespace* Users(TestInput& in, uint32_t container_id, uint32_t host_id, uint32_t length) {
  v1::UserNamespace* users = Options(in)->mutable_userns_options();
  users->set_mode(v1::POD);
  for (v1::IDMapping* mapping : {users->add_uids(), users->add_gids()}) {
    mapping->set_container_id(container_id);
    mapping->set_host_id(host_id);
    mapping->set_length(length);
  }
  return users;
}

v1::PortMapping* Port(TestInput& in, int container_port, int host_port) {
  v1::PortMapping* mapping = in.pod.add_port_mappings();
  mapping->set_container_port(container_port);
  mapping->set_host_port(host_port);
  return mapping;
}

INSTANTIATE_TEST_SUITE_P(
    Identity, BadSandbox,
    testing::Values(
        BadRequest{"NoMetadata", [](TestInput& in) { in.pod.clear_metadata(); },
                   "config.metadata.name: '' is wrong"},
        BadRequest{"NoName", [](TestInput& in) { in.pod.mutable_metadata()->clear_name(); },
                   "config.metadata.name: ''"},
        BadRequest{"NoNamespace",
                   [](TestInput& in) { in.pod.mutable_metadata()->clear_namespace_(); },
                   "config.metadata.namespace: ''"},
        BadRequest{"NoUid", [](TestInput& in) { in.pod.mutable_metadata()->clear_uid(); },
                   "config.metadata.uid: ''"},
        BadRequest{"SlashInName",
                   [](TestInput& in) { in.pod.mutable_metadata()->set_name("../../etc"); },
                   "config.metadata.name: '../../etc'"},
        BadRequest{"DotsForNamespace",
                   [](TestInput& in) { in.pod.mutable_metadata()->set_namespace_(".."); },
                   "config.metadata.namespace: '..'"},
        BadRequest{"LongUid",
                   [](TestInput& in) { in.pod.mutable_metadata()->set_uid(std::string(300, 'x')); },
                   "1 to 253"},
        BadRequest{"Hostname", [](TestInput& in) { in.pod.set_hostname("a b"); },
                   "config.hostname: 'a b'"},
        BadRequest{"LongHostname", [](TestInput& in) { in.pod.set_hostname(std::string(65, 'h')); },
                   "at most 64"},
        BadRequest{"RelativeLogDirectory", [](TestInput& in) { in.pod.set_log_directory("logs"); },
                   "config.log_directory: 'logs'"},
        BadRequest{"DotsInLogDirectory",
                   [](TestInput& in) { in.pod.set_log_directory("/var/log/../../etc"); },
                   "config.log_directory: '/var/log/../../etc'"},
        BadRequest{"Windows", [](TestInput& in) { in.pod.mutable_windows(); }, "config.windows",
                   false, ErrorCode::kUnimplemented}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Network, BadSandbox,
    testing::Values(
        BadRequest{"DnsServer",
                   [](TestInput& in) { in.pod.mutable_dns_config()->add_servers("dns.example"); },
                   "config.dns_config.servers[0]: 'dns.example'"},
        BadRequest{"NewlineInSearch",
                   [](TestInput& in) {
                     in.pod.mutable_dns_config()->add_searches("a\nnameserver 1.2.3.4");
                   },
                   "config.dns_config.searches[0]: 'a\\x0anameserver"},
        BadRequest{"SpaceInOption",
                   [](TestInput& in) { in.pod.mutable_dns_config()->add_options("a b"); },
                   "config.dns_config.options[0]: 'a b'"},
        BadRequest{"NoContainerPort", [](TestInput& in) { Port(in, 0, 8080); },
                   "config.port_mappings[0].container_port: 0"},
        BadRequest{"ContainerPortTooLarge", [](TestInput& in) { Port(in, 65536, 80); },
                   "container_port: 65536"},
        BadRequest{"NegativeHostPort", [](TestInput& in) { Port(in, 80, -1); }, "host_port: -1"},
        BadRequest{"HostPortTwice",
                   [](TestInput& in) {
                     Port(in, 80, 8080);
                     Port(in, 81, 8080);
                   },
                   "config.port_mappings[1].host_port: 8080 is wrong: must be mapped once"},
        BadRequest{"HostIp", [](TestInput& in) { Port(in, 80, 80)->set_host_ip("localhost"); },
                   "host_ip: 'localhost'"},
        BadRequest{
            "Protocol",
            [](TestInput& in) { Port(in, 80, 80)->set_protocol(static_cast<v1::Protocol>(9)); },
            "protocol: 9 is wrong: must be TCP, UDP or SCTP"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Namespaces, BadSandbox,
    testing::Values(
        BadRequest{"NetworkOfTheContainer",
                   [](TestInput& in) { Options(in)->set_network(v1::CONTAINER); },
                   "namespace_options.network: 'CONTAINER' is wrong: must be POD or NODE"},
        BadRequest{"IpcTarget", [](TestInput& in) { Options(in)->set_ipc(v1::TARGET); },
                   "namespace_options.ipc: 'TARGET'"},
        BadRequest{"PidTarget", [](TestInput& in) { Options(in)->set_pid(v1::TARGET); },
                   "namespace_options.pid: 'TARGET'"},
        BadRequest{"TargetOfASandbox", [](TestInput& in) { Options(in)->set_target_id("a"); },
                   "namespace_options.target_id: 'a' is wrong: must be empty for a sandbox"},
        BadRequest{"UnknownMode",
                   [](TestInput& in) { Options(in)->set_pid(static_cast<v1::NamespaceMode>(7)); },
                   "namespace_options.pid: '7'"},
        BadRequest{"UsersOfTheContainer",
                   [](TestInput& in) { Users(in, 0, 1000, 10)->set_mode(v1::CONTAINER); },
                   "userns_options.mode: 'CONTAINER'"},
        BadRequest{"UsersWithoutMapping",
                   [](TestInput& in) { Users(in, 0, 1000, 10)->clear_uids(); },
                   "userns_options.uids: 0 is wrong: must be exactly one"},
        BadRequest{"UsersWithTwoMappings",
                   [](TestInput& in) { Users(in, 0, 1000, 10)->add_gids()->set_length(1); },
                   "userns_options.gids: 2"},
        BadRequest{"EmptyMapping", [](TestInput& in) { Users(in, 0, 1000, 0); },
                   "uids[0].length: 0"},
        BadRequest{"RootIsNotMapped", [](TestInput& in) { Users(in, 1, 1000, 10); },
                   "uids[0].container_id: 1"},
        BadRequest{"MappingOverflows", [](TestInput& in) { Users(in, 0, 4294967295, 10); },
                   "uids[0].length: 10"},
        BadRequest{"MappingsForTheNode",
                   [](TestInput& in) { Users(in, 0, 1000, 10)->set_mode(v1::NODE); },
                   "userns_options.uids: 2 is wrong: must be empty with mode NODE"},
        BadRequest{"UsersWithTheNodesPids",
                   [](TestInput& in) {
                     Users(in, 0, 1000, 10);
                     Options(in)->set_pid(v1::NODE);
                   },
                   "namespace_options.pid: 'NODE' is wrong: must be other than NODE in a user"},
        BadRequest{"UsersWithTheNodesIpc",
                   [](TestInput& in) {
                     Users(in, 0, 1000, 10);
                     Options(in)->set_ipc(v1::NODE);
                   },
                   "namespace_options.ipc: 'NODE' is wrong: must be other than NODE in a user"},
        BadRequest{"VmOnTheNodesNetwork", [](TestInput& in) { Options(in)->set_network(v1::NODE); },
                   "network: 'NODE' is wrong: must be POD: a virtual machine", true},
        BadRequest{"VmWithTheNodesPids", [](TestInput& in) { Options(in)->set_pid(v1::NODE); },
                   "pid: 'NODE'", true},
        BadRequest{"VmWithTheNodesIpc", [](TestInput& in) { Options(in)->set_ipc(v1::NODE); },
                   "ipc: 'NODE'", true},
        BadRequest{"VmWithUsers", [](TestInput& in) { Users(in, 0, 1000, 10); },
                   "userns_options.mode: 'POD'", true}),
    [](const auto& row) { return row.param.name; });

void SetSysctl(TestInput& in, const std::string& name, const std::string& value) {
  (*in.pod.mutable_linux()->mutable_sysctls())[name] = value;
}

INSTANTIATE_TEST_SUITE_P(
    Kernel, BadSandbox,
    testing::Values(
        BadRequest{"RelativeCgroup",
                   [](TestInput& in) { in.pod.mutable_linux()->set_cgroup_parent("kubepods"); },
                   "config.linux.cgroup_parent: 'kubepods'"},
        BadRequest{"DotsInCgroup",
                   [](TestInput& in) { in.pod.mutable_linux()->set_cgroup_parent("/a/../../b"); },
                   "config.linux.cgroup_parent: '/a/../../b'"},
        BadRequest{"CgroupThatIsNoSlice",
                   [](TestInput& in) {
                     in.place.cgroup_driver = CgroupDriver::kSystemd;
                     in.pod.mutable_linux()->set_cgroup_parent("/kubepods/podu-1");
                   },
                   "config.linux.cgroup_parent: '/kubepods/podu-1' is wrong: with cgroup_driver "
                   "systemd it must be a slice"},
        BadRequest{"SysctlOfTheMachine", [](TestInput& in) { SetSysctl(in, "kernel.panic", "1"); },
                   "config.linux.sysctls: 'kernel.panic' is wrong: must be one that a namespace"},
        BadRequest{"UnknownSysctl", [](TestInput& in) { SetSysctl(in, "vm.swappiness", "1"); },
                   "'vm.swappiness'"},
        BadRequest{"SysctlPath", [](TestInput& in) { SetSysctl(in, "net/../kernel/panic", "1"); },
                   "config.linux.sysctls: 'net/../kernel/panic'"},
        BadRequest{"EmptySysctlPart", [](TestInput& in) { SetSysctl(in, "net..core", "1"); },
                   "'net..core'"},
        BadRequest{"EmptySysctl", [](TestInput& in) { SetSysctl(in, "net.core.somaxconn", ""); },
                   "config.linux.sysctls[net.core.somaxconn]: ''"},
        BadRequest{"SysctlWithTheNodesNetwork",
                   [](TestInput& in) {
                     SetSysctl(in, "net.core.somaxconn", "1");
                     Options(in)->set_network(v1::NODE);
                   },
                   "absent with the node's network"},
        BadRequest{"SysctlWithTheNodesIpc",
                   [](TestInput& in) {
                     SetSysctl(in, "kernel.shmmax", "1");
                     Options(in)->set_ipc(v1::NODE);
                   },
                   "absent with the node's ipc"},
        BadRequest{"GroupWithoutUser",
                   [](TestInput& in) { in.pod_security()->mutable_run_as_group()->set_value(5); },
                   "run_as_group: 5 is wrong: must be absent without run_as_user"},
        BadRequest{"NegativeUser",
                   [](TestInput& in) { in.pod_security()->mutable_run_as_user()->set_value(-1); },
                   "run_as_user: -1"},
        BadRequest{"SeccompReference",
                   [](TestInput& in) {
                     in.pod_security()->mutable_seccomp()->set_localhost_ref("/x.json");
                   },
                   "seccomp.localhost_ref: '/x.json'"},
        BadRequest{"SeccompPath",
                   [](TestInput& in) {
                     in.pod_security()->mutable_seccomp()->set_profile_type(
                         v1::SecurityProfile::Localhost);
                     in.pod_security()->mutable_seccomp()->set_localhost_ref("/a/../b.json");
                   },
                   "seccomp.localhost_ref: '/a/../b.json'"},
        BadRequest{"SelinuxOnAHostWithout",
                   [](TestInput& in) {
                     in.pod_security()->mutable_selinux_options()->set_type("container_t");
                   },
                   "this host has no SELinux"},
        BadRequest{"PodMemory",
                   [](TestInput& in) {
                     in.pod.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-5);
                   },
                   "config.linux.resources.memory_limit_in_bytes: -5"},
        BadRequest{
            "OverheadQuota",
            [](TestInput& in) { in.pod.mutable_linux()->mutable_overhead()->set_cpu_quota(1); },
            "config.linux.overhead.cpu_quota: 1"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace catamaran
