// What right requests become.
#include <gtest/gtest.h>

#include <fstream>

#include "cri/translate/test_input.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

std::string FileOf(const spec::SandboxSpec& sandbox, const std::string& path) {
  for (const auto& file : sandbox.files()) {
    if (file.container_path() == path) return file.content();
  }
  return "absent";
}

std::vector<std::string> Words(const google::protobuf::RepeatedPtrField<std::string>& words) {
  return {words.begin(), words.end()};
}

spec::ContainerSpec ContainerOf(const TestInput& input, bool in_vm = false) {
  auto spec = input.Container(in_vm);
  EXPECT_TRUE(spec) << spec.error().message;
  return spec.value_or(spec::ContainerSpec());
}

spec::SandboxSpec SandboxOf(const TestInput& input, bool in_vm = false) {
  auto spec = input.Sandbox(in_vm);
  EXPECT_TRUE(spec) << spec.error().message;
  return spec.value_or(spec::SandboxSpec());
}

TEST(SandboxTranslation, ResolvesEveryDefault) {
  const TestInput input;
  const auto sandbox = SandboxOf(input);
  EXPECT_EQ(sandbox.pod_id(), input.place.id.value());
  EXPECT_EQ(sandbox.cgroup_path(), "/catamaran/" + input.place.id.value());
  EXPECT_EQ(sandbox.hostname(), "web-0");
  EXPECT_EQ(sandbox.network(), spec::POD);
  EXPECT_EQ(sandbox.shm_size_bytes(), 64u << 20);
  EXPECT_FALSE(sandbox.has_user_namespace());
  EXPECT_FALSE(sandbox.has_machine());
  EXPECT_EQ(sandbox.sysctls().at("net.ipv4.ip_unprivileged_port_start"), "0");
  EXPECT_EQ(sandbox.sysctls().at("net.ipv4.ping_group_range"), "0 2147483647");
  EXPECT_EQ(FileOf(sandbox, "/etc/hostname"), "web-0\n");
  EXPECT_EQ(FileOf(sandbox, "/etc/resolv.conf"), "nameserver 192.0.2.1\n");
}

TEST(SandboxTranslation, GivesAVmItsHandlersMachine) {
  EXPECT_EQ(SandboxOf(TestInput(), true).machine().kernel(), "/guest/vmlinuz");
}

TEST(SandboxTranslation, PutsThePodBelowTheKubeletsCgroup) {
  TestInput input;
  input.pod.mutable_linux()->set_cgroup_parent("/kubepods/burstable/podu-1/");
  EXPECT_EQ(SandboxOf(input).cgroup_path(), "/kubepods/burstable/podu-1/" + input.place.id.value());
}

TEST(SandboxTranslation, PutsThePodInAScopeOfTheKubeletsSliceWithSystemd) {
  TestInput input;
  input.place.cgroup_driver = CgroupDriver::kSystemd;
  input.place.cgroup_root = "/catamaran.slice";
  const std::string scope = "/catamaran-" + input.place.id.value() + ".scope/pod";
  EXPECT_EQ(SandboxOf(input).cgroup_path(), "/catamaran.slice" + scope);
  input.pod.mutable_linux()->set_cgroup_parent("/kubepods.slice/kubepods-podu_1.slice");
  EXPECT_EQ(SandboxOf(input).cgroup_path(), "/kubepods.slice/kubepods-podu_1.slice" + scope);
}

TEST(SandboxTranslation, TakesTheNodesNamesOnTheNodesNetwork) {
  TestInput input;
  input.pod_security()->mutable_namespace_options()->set_network(v1::NODE);
  const auto sandbox = SandboxOf(input);
  EXPECT_EQ(sandbox.hostname(), "node7");
  EXPECT_EQ(FileOf(sandbox, "/etc/hosts"), "127.0.0.1 localhost node7\n");
  EXPECT_EQ(sandbox.sysctls_size(), 0);
}

TEST(SandboxTranslation, WritesResolvConfLineByLine) {
  TestInput input;
  auto* dns = input.pod.mutable_dns_config();
  dns->add_servers("10.0.0.10");
  dns->add_servers("fd00::a");
  dns->add_searches("svc.cluster.local");
  dns->add_searches("cluster.local");
  dns->add_options("ndots:5");
  EXPECT_EQ(FileOf(SandboxOf(input), "/etc/resolv.conf"),
            "search svc.cluster.local cluster.local\nnameserver 10.0.0.10\nnameserver fd00::a\n"
            "options ndots:5\n");
}

TEST(SandboxTranslation, WritesAnEmptyResolvConfWhenAskedForNothing) {
  TestInput input;
  input.pod.mutable_dns_config();
  EXPECT_EQ(FileOf(SandboxOf(input), "/etc/resolv.conf"), "");
}

TEST(SandboxTranslation, KeepsASysctlThatThePodSets) {
  TestInput input;
  (*input.pod.mutable_linux()->mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "1024";
  (*input.pod.mutable_linux()->mutable_sysctls())["net/ipv4/conf/eth0.1/mtu"] = "1400";
  const auto sandbox = SandboxOf(input);
  EXPECT_EQ(sandbox.sysctls().at("net.ipv4.ip_unprivileged_port_start"), "1024");
  EXPECT_EQ(sandbox.sysctls().at("net/ipv4/conf/eth0.1/mtu"), "1400");
}

TEST(SandboxTranslation, TakesTheNetworksInterfacesAndNamesThePodInHosts) {
  auto sandbox = SandboxOf(TestInput());
  PodNetworkResult network;
  network.netns = HostPath("/run/netns/x");
  network.interfaces.emplace_back().add_addresses("10.88.0.2/32");
  ApplyNetwork(network, &sandbox);
  EXPECT_EQ(sandbox.network_namespace(), "/run/netns/x");
  EXPECT_EQ(sandbox.interfaces_size(), 1);
  EXPECT_NE(FileOf(sandbox, "/etc/hosts").find("10.88.0.2\tweb-0\n"), std::string::npos);
  EXPECT_NE(FileOf(sandbox, "/etc/hosts").find("127.0.0.1\tlocalhost\n"), std::string::npos);
}

TEST(PodNetworkTranslation, DropsMappingsWithoutAHostPort) {
  TestInput input;
  input.pod.add_port_mappings()->set_container_port(80);
  auto* mapping = input.pod.add_port_mappings();
  mapping->set_container_port(53);
  mapping->set_host_port(5353);
  mapping->set_protocol(v1::UDP);
  auto request = TranslatePodNetwork(input.pod, input.place.id);
  ASSERT_TRUE(request);
  ASSERT_EQ(request->ports.size(), 1u);
  EXPECT_EQ(request->ports[0].protocol, PortMapping::Protocol::kUdp);
  EXPECT_EQ(request->ports[0].host_port, 5353);
  EXPECT_EQ(request->pod_name, "web");
}

TEST(ContainerTranslation, ResolvesEveryDefault) {
  const TestInput input;
  const auto container = ContainerOf(input);
  const auto& process = container.process();
  EXPECT_EQ(Words(process.args()), std::vector<std::string>{"/bin/sh"});
  EXPECT_EQ(Words(process.env()),
            (std::vector<std::string>{"PATH=/bin", "HOSTNAME=web-0", "LANG=C"}));
  EXPECT_EQ(process.cwd(), "/");
  EXPECT_EQ(process.user().user(), "");
  EXPECT_EQ(process.capabilities().bounding_size(), 14);
  EXPECT_EQ(process.seccomp().kind(), spec::SeccompProfile::UNCONFINED);
  EXPECT_FALSE(process.has_oom_score_adj());
  EXPECT_EQ(container.stop_signal(), 15);
  EXPECT_EQ(container.log_path(), "/var/log/pods/web/main/0.log");
  EXPECT_EQ(container.pid(), spec::POD);
  EXPECT_EQ(container.mounts_size(), 0);
  EXPECT_FALSE(container.privileged());
}

struct ArgsRow {
  const char* name;
  std::vector<std::string> entrypoint, image_command, command, args, expected;
};
class ArgsTranslation : public testing::TestWithParam<ArgsRow> {};
TEST_P(ArgsTranslation, FollowsTheInterfacesRule) {
  TestInput input;
  input.image.config.entrypoint = GetParam().entrypoint;
  input.image.config.command = GetParam().image_command;
  for (const auto& word : GetParam().command) input.container.add_command(word);
  for (const auto& word : GetParam().args) input.container.add_args(word);
  EXPECT_EQ(Words(ContainerOf(input).process().args()), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Rows, ArgsTranslation,
    testing::Values(ArgsRow{"ImageOnly", {"e"}, {"c"}, {}, {}, {"e", "c"}},
                    ArgsRow{"ArgsReplaceTheImagesCommand", {"e"}, {"c"}, {}, {"a"}, {"e", "a"}},
                    ArgsRow{"CommandReplacesBoth", {"e"}, {"c"}, {"x"}, {}, {"x"}},
                    ArgsRow{"CommandAndArgs", {"e"}, {"c"}, {"x"}, {"a", "b"}, {"x", "a", "b"}},
                    ArgsRow{"ArgsAlone", {}, {}, {}, {"a"}, {"a"}}),
    [](const auto& row) { return row.param.name; });

TEST(ContainerTranslation, ReplacesVariablesInPlaceAndAddsATerminal) {
  TestInput input;
  input.container.set_tty(true);
  for (const auto& [key, value] : {std::pair{"LANG", "de"}, {"NEW", "\xff"}, {"LANG", "fr"}}) {
    auto* variable = input.container.add_envs();
    variable->set_key(key);
    variable->set_value(value);
  }
  EXPECT_EQ(Words(ContainerOf(input).process().env()),
            (std::vector<std::string>{"PATH=/bin", "TERM=xterm", "HOSTNAME=web-0", "LANG=fr",
                                      "NEW=\xff"}));
}

TEST(ContainerTranslation, ResolvesTheUser) {
  TestInput input;
  input.image.config.user = "www-data:staff";
  EXPECT_EQ(ContainerOf(input).process().user().user(), "www-data:staff");
  input.security()->mutable_run_as_user()->set_value(1000);
  EXPECT_EQ(ContainerOf(input).process().user().user(), "1000");
  EXPECT_FALSE(ContainerOf(input).process().user().has_gid());
  input.security()->set_run_as_username("alice");
  input.security()->mutable_run_as_group()->set_value(50);
  input.security()->set_supplemental_groups_policy(v1::Strict);
  const auto user = ContainerOf(input).process().user();
  EXPECT_EQ(user.user(), "alice");
  EXPECT_EQ(user.gid(), 50u);
  EXPECT_EQ(user.groups_policy(), spec::STRICT);
}

TEST(ContainerTranslation, ChoosesTheAppArmorProfile) {
  using v1::SecurityProfile;
  TestInput input;
  const auto profile = [&input](bool in_vm = false) {
    return ContainerOf(input, in_vm).process().apparmor_profile();
  };
  EXPECT_EQ(profile(), "") << "none where the host has no AppArmor";
  input.host.apparmor = true;
  input.host.apparmor_profiles = {"web"};
  EXPECT_EQ(profile(), "") << "nothing can load the default one";
  input.host.apparmor_default = true;
  EXPECT_EQ(profile(), "catamaran-default") << "also unasked";
  EXPECT_EQ(profile(true), "") << "the guest's kernel has no AppArmor";
  input.security()->mutable_apparmor()->set_profile_type(SecurityProfile::Unconfined);
  EXPECT_EQ(profile(), "");
  input.security()->mutable_apparmor()->set_profile_type(SecurityProfile::RuntimeDefault);
  EXPECT_EQ(profile(), "catamaran-default");
  input.security()->mutable_apparmor()->set_profile_type(SecurityProfile::Localhost);
  input.security()->mutable_apparmor()->set_localhost_ref("localhost/web");
  EXPECT_EQ(profile(), "web");
  input.pod_security()->set_privileged(true);
  input.security()->set_privileged(true);
  EXPECT_EQ(profile(), "");
}

TEST(ContainerTranslation, GivesProcessesAndFilesTheirSelinuxLabels) {
  TestInput input;
  input.host.selinux = true;
  input.host.selinux_process_label = "system_u:system_r:container_t:s0";
  input.host.selinux_file_label = "system_u:object_r:container_file_t:s0:c0.c1023";
  for (auto* option : {input.security()->mutable_selinux_options(),
                       input.pod_security()->mutable_selinux_options()}) {
    option->set_user("system_u");
    option->set_role("system_r");
    option->set_type("container_t");
    option->set_level("s0:c1,c2");
  }
  input.AddMount()->set_selinux_relabel(true);
  auto container = ContainerOf(input);
  EXPECT_EQ(container.process().selinux_label(), "system_u:system_r:container_t:s0:c1,c2");
  EXPECT_EQ(container.mount_label(), "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_TRUE(container.mounts(0).selinux_relabel());
  EXPECT_EQ(SandboxOf(input).mount_label(), "system_u:object_r:container_file_t:s0:c1,c2");
  EXPECT_EQ(SandboxOf(input, true).mount_label(), "") << "a guest's memory is its own";
  input.security()->mutable_selinux_options()->clear_level();
  EXPECT_EQ(ContainerOf(input).mount_label(), input.host.selinux_file_label);
  input.security()->clear_selinux_options();
  container = ContainerOf(input);
  EXPECT_EQ(container.mount_label(), "");
  EXPECT_FALSE(container.mounts(0).selinux_relabel()) << "there is no label to give";
}

TEST(ContainerTranslation, HasOfSelinuxWhatThePodLeavesOutFromTheHost) {
  TestInput input;
  input.host.selinux = true;
  input.host.selinux_process_label = "u_u:r_r:p_t:s0";
  input.host.selinux_file_label = "u_u:object_r:f_t:s0";
  auto* option = input.security()->mutable_selinux_options();
  option->set_level("s0:c0,c1");
  input.pod_security()->mutable_selinux_options()->set_level("s0:c0,c1");
  input.AddMount()->set_selinux_relabel(true);
  EXPECT_EQ(ContainerOf(input).process().selinux_label(), "u_u:r_r:p_t:s0:c0,c1");
  EXPECT_EQ(ContainerOf(input).mount_label(), "u_u:object_r:f_t:s0:c0,c1");
  EXPECT_EQ(SandboxOf(input).mount_label(), "u_u:object_r:f_t:s0:c0,c1");
  EXPECT_TRUE(ContainerOf(input).mounts(0).selinux_relabel());
  EXPECT_EQ(ContainerOf(input, true).process().selinux_label(), "") << "not in a guest";
  option->set_type("spc_t");
  option->clear_level();
  EXPECT_EQ(ContainerOf(input).process().selinux_label(), "u_u:r_r:spc_t:s0");
  input.host.selinux_process_label = "u_u:r_r:p_t";
  EXPECT_EQ(ContainerOf(input).process().selinux_label(), "u_u:r_r:spc_t") << "without levels";
}

TEST(ContainerTranslation, ReadsContainersLabelsFromTheHostsPolicy) {
  std::string pattern = "/tmp/catamaran-selinux-XXXXXX";
  const HostPath etc(mkdtemp(pattern.data()));
  const Cleanup remove([&] { (void)RemoveTree(etc.value()); });
  EXPECT_EQ(ReadSelinuxLabel(etc, "process"), "");
  ASSERT_TRUE(MakeDirectories(etc.string() + "/default/contexts"));
  const auto write = [&](const std::string& name, const std::string& text) {
    EXPECT_TRUE(ReplaceFile(etc.string() + name, text, 0644, Durability::kProcessCrash));
  };
  write("/config", "SELINUX=permissive\nSELINUXTYPE=default\n");
  write("/default/contexts/lxc_contexts",
        "sandbox_lxc_process = \"u:r:other_t:s0\"\nprocess = \"u:r:p_t:s0\"\nfile = "
        "\"u:object_r:f_t:s0\"\nro_file=\"u:object_r:ro_t:s0\"\n");
  EXPECT_EQ(ReadSelinuxLabel(etc, "process"), "u:r:p_t:s0");
  EXPECT_EQ(ReadSelinuxLabel(etc, "file"), "u:object_r:f_t:s0");
}

TEST(ContainerTranslation, TakesALevelAloneWhereThereIsNoSelinux) {
  TestInput input;
  input.host.selinux = false;
  input.security()->mutable_selinux_options()->set_level("s0:c0,c1");
  input.pod_security()->mutable_selinux_options()->set_level("s0:c0,c1");
  EXPECT_EQ(ContainerOf(input).process().selinux_label(), "");
  EXPECT_EQ(SandboxOf(input).mount_label(), "");
}

TEST(ContainerTranslation, GivesAmbientCapabilitiesInAllSets) {
  TestInput input;
  auto* capabilities = input.security()->mutable_capabilities();
  capabilities->add_drop_capabilities("all");
  capabilities->add_add_ambient_capabilities("cap_net_bind_service");
  capabilities->add_add_ambient_capabilities("CHOWN");
  auto out = ContainerOf(input).process().capabilities();
  EXPECT_EQ(Words(out.ambient()), (std::vector<std::string>{"CAP_CHOWN", "CAP_NET_BIND_SERVICE"}));
  EXPECT_EQ(Words(out.bounding()), Words(out.ambient()));
  capabilities->add_drop_capabilities("CHOWN");
  out = ContainerOf(input).process().capabilities();
  EXPECT_EQ(Words(out.ambient()), std::vector<std::string>{"CAP_NET_BIND_SERVICE"});
  EXPECT_EQ(Words(out.bounding()), std::vector<std::string>{"CAP_NET_BIND_SERVICE"});
}

TEST(ContainerTranslation, AddsAndDropsCapabilities) {
  TestInput input;
  auto* capabilities = input.security()->mutable_capabilities();
  capabilities->add_drop_capabilities("ALL");
  capabilities->add_add_capabilities("net_admin");
  EXPECT_EQ(Words(ContainerOf(input).process().capabilities().bounding()),
            std::vector<std::string>{"CAP_NET_ADMIN"});
  capabilities->Clear();
  capabilities->add_add_capabilities("ALL");
  EXPECT_TRUE(ContainerOf(input).process().capabilities().all());
  capabilities->Clear();
  capabilities->add_add_capabilities("all");
  EXPECT_TRUE(ContainerOf(input).process().capabilities().all());
  capabilities->add_drop_capabilities("SYS_ADMIN");
  EXPECT_FALSE(ContainerOf(input).process().capabilities().all());
  EXPECT_EQ(ContainerOf(input).process().capabilities().bounding_size(), 40);
}

TEST(ContainerTranslation, GivesAPrivilegedContainerEverything) {
  TestInput input;
  input.pod_security()->set_privileged(true);
  input.security()->set_privileged(true);
  input.security()->add_masked_paths("/proc/kcore");
  input.security()->mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  const auto container = ContainerOf(input);
  EXPECT_TRUE(container.privileged());
  EXPECT_TRUE(container.all_devices());
  EXPECT_TRUE(container.process().capabilities().all());
  EXPECT_EQ(container.process().seccomp().kind(), spec::SeccompProfile::UNCONFINED);
  EXPECT_EQ(container.masked_paths_size(), 0);
}

TEST(ContainerTranslation, ReadsALocalhostSeccompProfile) {
  const std::string path = testing::TempDir() + "/profile-" + std::to_string(getpid()) + ".json";
  std::ofstream(path) << R"({"defaultAction": "SCMP_ACT_ALLOW"})";
  TestInput input;
  input.security()->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
  input.security()->mutable_seccomp()->set_localhost_ref("localhost/" + path);
  const auto container = ContainerOf(input);
  EXPECT_EQ(container.process().seccomp().kind(), spec::SeccompProfile::LOCALHOST);
  EXPECT_NE(container.process().seccomp().profile_json().find("SCMP_ACT_ALLOW"), std::string::npos);
  unlink(path.c_str());
}

TEST(ContainerTranslation, ReadsTheDeprecatedProfileWhereThereIsNoOther) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  TestInput input;
  input.security()->set_seccomp_profile_path("runtime/default");
  EXPECT_EQ(ContainerOf(input).process().seccomp().kind(), spec::SeccompProfile::RUNTIME_DEFAULT);
  input.security()->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Unconfined);
  EXPECT_EQ(ContainerOf(input).process().seccomp().kind(), spec::SeccompProfile::UNCONFINED);
  input.host.apparmor = true;
  input.host.apparmor_profiles = {"web"};
  input.security()->set_apparmor_profile("localhost/web");
  EXPECT_EQ(ContainerOf(input).process().apparmor_profile(), "web");
  input.security()->mutable_apparmor()->set_profile_type(v1::SecurityProfile::Unconfined);
  EXPECT_EQ(ContainerOf(input).process().apparmor_profile(), "");
#pragma GCC diagnostic pop
}

TEST(ContainerTranslation, SortsMountsParentsFirstAndKeepsTheirOrder) {
  TestInput input;
  for (const char* path : {"/a/b/c", "/z", "/a/b", "/y"})
    input.AddMount()->set_container_path(path);
  const auto container = ContainerOf(input);
  std::vector<std::string> order;
  for (const auto& mount : container.mounts()) order.push_back(mount.container_path());
  EXPECT_EQ(order, (std::vector<std::string>{"/z", "/y", "/a/b", "/a/b/c"}));
}

TEST(ContainerTranslation, TakesEveryWordOfAMount) {
  TestInput input;
  auto* mount = input.AddMount();
  mount->set_container_path("//data/");
  mount->set_readonly(true);
  mount->set_recursive_read_only(true);
  mount->add_mount_options("noexec");
  mount->add_mount_options("noexec");
  const auto container = ContainerOf(input);
  ASSERT_EQ(container.mounts_size(), 1);
  const auto& made = container.mounts(0);
  EXPECT_EQ(made.container_path(), "/data");
  EXPECT_TRUE(made.recursive_readonly());
  EXPECT_EQ(Words(made.options()), std::vector<std::string>{"noexec"});
}

TEST(ContainerTranslation, LeavesTheLayersOfAnImageMountToTheCaller) {
  TestInput input;
  auto* mount = input.AddMount();
  mount->clear_host_path();
  mount->set_readonly(true);
  mount->mutable_image()->set_image("busybox");
  mount->set_image_sub_path("etc/ssl");
  const auto container = ContainerOf(input);
  ASSERT_TRUE(container.mounts(0).has_image());
  EXPECT_EQ(container.mounts(0).image().sub_path(), "etc/ssl");
}

TEST(ContainerTranslation, FollowsTheLinkToADeviceAndAllowsAll) {
  TestInput input;
  input.container.add_devices()->set_host_path("/dev/null");
  const auto container = ContainerOf(input);
  ASSERT_EQ(container.devices_size(), 1);
  EXPECT_EQ(container.devices(0).container_path(), "/dev/null");
  EXPECT_EQ(container.devices(0).permissions(), "rwm");
}

TEST(ContainerTranslation, PrefersTheRequestsStopSignal) {
  TestInput input;
  input.image.config.stop_signal = "SIGQUIT";
  EXPECT_EQ(ContainerOf(input).stop_signal(), 3);
  input.container.set_stop_signal(v1::SIGNAL_SIGUSR1);
  EXPECT_EQ(ContainerOf(input).stop_signal(), 10);
}

TEST(ContainerTranslation, JoinsTheNodesPidsThroughThePod) {
  TestInput input;
  input.pod_security()->mutable_namespace_options()->set_pid(v1::NODE);
  EXPECT_EQ(ContainerOf(input).pid(), spec::NODE);
  input.security()->mutable_namespace_options()->set_pid(v1::CONTAINER);
  EXPECT_EQ(ContainerOf(input).pid(), spec::CONTAINER);
}

TEST(ContainerTranslation, TargetsAnotherContainer) {
  TestInput input;
  auto* options = input.security()->mutable_namespace_options();
  options->set_pid(v1::TARGET);
  options->set_target_id(std::string(64, 'd'));
  EXPECT_EQ(ContainerOf(input).pid(), spec::TARGET);
  EXPECT_EQ(ContainerOf(input).pid_target(), std::string(64, 'd'));
}

TEST(ResourcesTranslation, TakesWhatTheKubeletSends) {
  TestInput input;
  auto* resources = input.resources();
  resources->set_cpu_period(100000);
  resources->set_cpu_quota(50000);
  resources->set_cpu_shares(512);
  resources->set_memory_limit_in_bytes(64 << 20);
  resources->set_oom_score_adj(-997);
  resources->set_cpuset_cpus("0-1,3");
  for (const char* size : {"2MB", "1GB"}) {
    resources->add_hugepage_limits()->set_page_size(size);
  }
  (*resources->mutable_unified())["memory.oom.group"] = "1";
  (*resources->mutable_unified())["pids.max"] = "50";
  const auto container = ContainerOf(input);
  const auto& out = container.resources();
  EXPECT_EQ(out.cpu_quota_us(), 50000);
  EXPECT_EQ(out.memory_swap_limit_bytes(), 64 << 20);
  EXPECT_EQ(out.pids_limit(), 50);
  EXPECT_EQ(out.unified_size(), 1);
  ASSERT_EQ(out.hugepage_limits_size(), 1);  // the host has no 1 GB pages, and none were granted
  EXPECT_TRUE(container.process().has_oom_score_adj());
  EXPECT_EQ(container.process().oom_score_adj(), -997);
}

TEST(ResourcesTranslation, LeavesHugepagesOutOfAVm) {
  TestInput input;
  input.resources()->add_hugepage_limits()->set_page_size("2MB");
  EXPECT_EQ(ContainerOf(input, true).resources().hugepage_limits_size(), 0);
}

}  // namespace
}  // namespace catamaran
