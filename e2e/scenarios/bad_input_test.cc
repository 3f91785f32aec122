// Bad input over the socket: each is refused with the right code and a message that names the
// field and the value, and leaves nothing behind.
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

using PodConfigChange = std::function<void(v1::PodSandboxConfig&)>;
using ContainerConfigChange = std::function<void(v1::ContainerConfig&)>;

v1::LinuxSandboxSecurityContext* SecurityOf(v1::PodSandboxConfig& config) {
  return config.mutable_linux()->mutable_security_context();
}
v1::LinuxContainerSecurityContext* SecurityOf(v1::ContainerConfig& config) {
  return config.mutable_linux()->mutable_security_context();
}

struct PodRow {
  const char* name;
  PodConfigChange change;
  const char* in_message;
};

const std::vector<PodRow>& PodRows() {
  static const std::vector<PodRow> rows = {
      {"no metadata", [](auto& c) { c.clear_metadata(); }, "metadata"},
      {"no name", [](auto& c) { c.mutable_metadata()->clear_name(); }, "name"},
      {"no namespace", [](auto& c) { c.mutable_metadata()->clear_namespace_(); }, "namespace"},
      {"no uid", [](auto& c) { c.mutable_metadata()->clear_uid(); }, "uid"},
      {"name with a path", [](auto& c) { c.mutable_metadata()->set_name("../etc"); }, "../etc"},
      {"uid with a slash", [](auto& c) { c.mutable_metadata()->set_uid("a/b"); }, "a/b"},
      {"namespace with a line break", [](auto& c) { c.mutable_metadata()->set_namespace_("a\nb"); },
       "namespace"},
      {"hostname too long", [](auto& c) { c.set_hostname(std::string(65, 'h')); }, "hostname"},
      {"hostname with a space", [](auto& c) { c.set_hostname("a b"); }, "hostname"},
      {"relative log directory", [](auto& c) { c.set_log_directory("logs"); }, "log_directory"},
      {"log directory with dots", [](auto& c) { c.set_log_directory("/var/log/../../etc"); },
       "log_directory"},
      {"cgroup parent with dots",
       [](auto& c) { c.mutable_linux()->set_cgroup_parent("/a/../../b"); }, "cgroup_parent"},
      {"relative cgroup parent", [](auto& c) { c.mutable_linux()->set_cgroup_parent("a/b"); },
       "cgroup_parent"},
      {"sysctl of the host",
       [](auto& c) { (*c.mutable_linux()->mutable_sysctls())["kernel.panic"] = "1"; },
       "kernel.panic"},
      {"sysctl with a path",
       [](auto& c) { (*c.mutable_linux()->mutable_sysctls())["net/../kernel/panic"] = "1"; },
       "sysctl"},
      {"sysctl value with a line break",
       [](auto& c) {
         (*c.mutable_linux()->mutable_sysctls())["net.ipv4.tcp_keepalive_time"] = "1\nx";
       },
       "net.ipv4.tcp_keepalive_time"},
      {"network of a container",
       [](auto& c) { SecurityOf(c)->mutable_namespace_options()->set_network(v1::CONTAINER); },
       "network"},
      {"ipc of a target",
       [](auto& c) { SecurityOf(c)->mutable_namespace_options()->set_ipc(v1::TARGET); }, "ipc"},
      {"an unknown namespace mode",
       [](auto& c) {
         SecurityOf(c)->mutable_namespace_options()->set_pid(static_cast<v1::NamespaceMode>(77));
       },
       "pid"},
      {"port too high",
       [](auto& c) {
         auto* port = c.add_port_mappings();
         port->set_container_port(80);
         port->set_host_port(70000);
       },
       "70000"},
      {"negative port",
       [](auto& c) {
         auto* port = c.add_port_mappings();
         port->set_container_port(-1);
         port->set_host_port(80);
       },
       "-1"},
      {"host ip that is none",
       [](auto& c) {
         auto* port = c.add_port_mappings();
         port->set_container_port(80);
         port->set_host_port(18080);
         port->set_host_ip("localhost; drop");
       },
       "host_ip"},
      {"DNS server that is no address",
       [](auto& c) { c.mutable_dns_config()->add_servers("one.example"); }, "one.example"},
      {"DNS search with a line break",
       [](auto& c) { c.mutable_dns_config()->add_searches("a\nnameserver 1.2.3.4"); }, "search"},
      {"seccomp reference without Localhost",
       [](auto& c) { SecurityOf(c)->mutable_seccomp()->set_localhost_ref("/x.json"); }, "seccomp"},
  };
  return rows;
}

struct ContainerRow {
  const char* name;
  ContainerConfigChange change;
  const char* in_message;
};

v1::Mount* MountOn(v1::ContainerConfig& config, const std::string& host,
                   const std::string& container) {
  auto* mount = config.add_mounts();
  mount->set_host_path(host);
  mount->set_container_path(container);
  return mount;
}

const std::vector<ContainerRow>& ContainerRows() {
  static const std::vector<ContainerRow> rows = {
      {"no metadata", [](auto& c) { c.clear_metadata(); }, "metadata"},
      {"no name", [](auto& c) { c.mutable_metadata()->clear_name(); }, "name"},
      {"name with a path", [](auto& c) { c.mutable_metadata()->set_name("a/../b"); }, "a/../b"},
      {"no image", [](auto& c) { c.clear_image(); }, "image"},
      {"malformed image", [](auto& c) { c.mutable_image()->set_image("UPPER CASE:::"); }, "image"},
      {"log path with dots", [](auto& c) { c.set_log_path("../../etc/cron.d/x"); }, "log_path"},
      {"absolute log path", [](auto& c) { c.set_log_path("/etc/x"); }, "log_path"},
      {"relative working directory", [](auto& c) { c.set_working_dir("a/b"); }, "working_dir"},
      {"environment without a name", [](auto& c) { c.add_envs()->set_value("x"); }, "env"},
      {"environment name with '='", [](auto& c) { c.add_envs()->set_key("A=B"); }, "A=B"},
      {"mount without container path", [](auto& c) { MountOn(c, "/tmp", ""); }, "container_path"},
      {"mount on a relative path", [](auto& c) { MountOn(c, "/tmp", "data"); }, "container_path"},
      {"mount of a relative path", [](auto& c) { MountOn(c, "data", "/data"); }, "host_path"},
      {"mount of nothing", [](auto& c) { MountOn(c, "", "/data"); }, "host_path"},
      {"mount over the root", [](auto& c) { MountOn(c, "/tmp", "/"); }, "container_path"},
      {"unknown propagation",
       [](auto& c) {
         MountOn(c, "/tmp", "/data")->set_propagation(static_cast<v1::MountPropagation>(9));
       },
       "propagation"},
      {"recursive read-only that is writable",
       [](auto& c) { MountOn(c, "/tmp", "/data")->set_recursive_read_only(true); },
       "recursive_read_only"},
      {"unknown mount option",
       [](auto& c) { MountOn(c, "/tmp", "/data")->add_mount_options("suid"); }, "suid"},
      {"bidirectional from a mount that is private",
       [](auto& c) { MountOn(c, "/tmp", "/data")->set_propagation(v1::PROPAGATION_BIDIRECTIONAL); },
       "PROPAGATION_BIDIRECTIONAL"},
      {"user id too high",
       [](auto& c) { SecurityOf(c)->mutable_run_as_user()->set_value(1LL << 40); }, "run_as_user"},
      {"negative user id", [](auto& c) { SecurityOf(c)->mutable_run_as_user()->set_value(-1); },
       "run_as_user"},
      {"group without user", [](auto& c) { SecurityOf(c)->mutable_run_as_group()->set_value(5); },
       "run_as_group"},
      {"negative supplemental group", [](auto& c) { SecurityOf(c)->add_supplemental_groups(-5); },
       "supplemental_groups"},
      {"unknown capability",
       [](auto& c) { SecurityOf(c)->mutable_capabilities()->add_add_capabilities("FLY"); }, "FLY"},
      {"unknown dropped capability",
       [](auto& c) { SecurityOf(c)->mutable_capabilities()->add_drop_capabilities("SWIM"); },
       "SWIM"},
      {"privileged in a pod that is not", [](auto& c) { SecurityOf(c)->set_privileged(true); },
       "privileged"},
      {"seccomp reference without Localhost",
       [](auto& c) { SecurityOf(c)->mutable_seccomp()->set_localhost_ref("/x.json"); },
       "localhost_ref"},
      {"seccomp profile that is absent",
       [](auto& c) {
         SecurityOf(c)->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
         SecurityOf(c)->mutable_seccomp()->set_localhost_ref("/absent/profile.json");
       },
       "/absent/profile.json"},
      {"relative masked path", [](auto& c) { SecurityOf(c)->add_masked_paths("proc/kcore"); },
       "masked_paths"},
      {"relative read-only path", [](auto& c) { SecurityOf(c)->add_readonly_paths("proc/sys"); },
       "readonly_paths"},
      {"target that does not exist",
       [](auto& c) {
         SecurityOf(c)->mutable_namespace_options()->set_pid(v1::TARGET);
         SecurityOf(c)->mutable_namespace_options()->set_target_id(std::string(64, 'a'));
       },
       "target"},
      {"target without an id",
       [](auto& c) { SecurityOf(c)->mutable_namespace_options()->set_pid(v1::TARGET); }, "target"},
      {"negative memory limit",
       [](auto& c) { c.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-5); },
       "memory_limit_in_bytes"},
      {"negative cpu period",
       [](auto& c) { c.mutable_linux()->mutable_resources()->set_cpu_period(-5); }, "cpu_period"},
      {"cpu set that is none",
       [](auto& c) { c.mutable_linux()->mutable_resources()->set_cpuset_cpus("a-b"); },
       "cpuset_cpus"},
      {"cpus that do not exist",
       [](auto& c) { c.mutable_linux()->mutable_resources()->set_cpuset_cpus("900-901"); },
       "cpuset_cpus"},
      {"oom score out of range",
       [](auto& c) { c.mutable_linux()->mutable_resources()->set_oom_score_adj(5000); },
       "oom_score_adj"},
      {"unified key with a path",
       [](auto& c) {
         (*c.mutable_linux()->mutable_resources()->mutable_unified())["../memory.max"] = "1";
       },
       "unified"},
      {"unknown huge page size",
       [](auto& c) {
         auto* limit = c.mutable_linux()->mutable_resources()->add_hugepage_limits();
         limit->set_page_size("3MB");
         limit->set_limit(3 << 20);
       },
       "hugepage_limits"},
      {"device that is absent",
       [](auto& c) {
         auto* device = c.add_devices();
         device->set_host_path("/dev/absent");
         device->set_container_path("/dev/absent");
         device->set_permissions("rwm");
       },
       "/dev/absent"},
      {"device with unknown permissions",
       [](auto& c) {
         auto* device = c.add_devices();
         device->set_host_path("/dev/null");
         device->set_container_path("/dev/null2");
         device->set_permissions("rwx");
       },
       "devices"},
      {"unknown stop signal", [](auto& c) { c.set_stop_signal(static_cast<v1::Signal>(99)); },
       "stop_signal"},
  };
  return rows;
}

class BadInput : public PodTest {
 protected:
  template <typename T>
  static void ExpectRefused(const Reply<T>& reply, const std::string& name,
                            const std::string& in_message,
                            std::initializer_list<ErrorCode> codes = {
                                ErrorCode::kInvalidArgument}) {
    EXPECT_FALSE(reply.ok()) << name << " was accepted";
    if (reply.ok()) return;
    bool right = false;
    for (const ErrorCode code : codes) right = right || reply.code() == code;
    EXPECT_TRUE(right) << name << ": code " << static_cast<int>(reply.code()) << ": "
                       << reply.message();
    EXPECT_NE(reply.message().find(in_message), std::string::npos)
        << name << ": '" << in_message << "' is not in: " << reply.message();
  }
};

TEST_P(BadInput, PodsThatCannotBeAreRefusedByField) {
  for (const PodRow& row : PodRows()) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = PodConfig();
    row.change(*request.mutable_config());
    request.set_runtime_handler(GetParam());
    auto reply = cri().RunPodSandbox(request);
    // A VM also refuses by principle what is malformed besides.
    ExpectRefused(reply, row.name, row.in_message,
                  {ErrorCode::kInvalidArgument, ErrorCode::kUnimplemented});
    if (reply.ok()) StopAndRemovePod(reply->pod_sandbox_id());
  }
  EXPECT_EQ(cri().ListPodSandbox({})->items_size(), 0);
}

TEST_P(BadInput, ContainersThatCannotBeAreRefusedByField) {
  const std::string pod = RunPod();
  int number = 0;
  for (const ContainerRow& row : ContainerRows()) {
    auto config = ShellConfig("bad" + std::to_string(++number), "true");
    row.change(config);
    auto reply = TryCreate(pod, config);
    ExpectRefused(reply, row.name, row.in_message,
                  {ErrorCode::kInvalidArgument, ErrorCode::kUnimplemented});
  }
  auto config = ShellConfig("absent-image", "true");
  config.mutable_image()->set_image("docker.io/library/absent:1");
  ExpectRefused(TryCreate(pod, config), "absent image", "absent", {ErrorCode::kNotFound});
  EXPECT_GE(PodRows().size() + ContainerRows().size(), 60u);
}

TEST_P(BadInput, AnUnknownHandlerIsNamedWithTheKnownOnes) {
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = PodConfig();
  request.set_runtime_handler("kata");
  auto reply = cri().RunPodSandbox(request);
  ExpectRefused(reply, "handler", "kata");
  EXPECT_NE(reply.message().find("ns"), std::string::npos) << reply.message();
}

TEST_P(BadInput, MalformedIdsAreRefusedAndUnknownOnesNotFound) {
  const std::string unknown(64, 'f');
  for (const std::string& id : {std::string("../../etc/passwd"), std::string("a b"),
                                std::string(300, 'a'), std::string("x\ny"), std::string()}) {
    v1::PodSandboxStatusRequest pod;
    pod.set_pod_sandbox_id(id);
    auto code = cri().PodSandboxStatus(pod).code();
    EXPECT_TRUE(code == ErrorCode::kInvalidArgument || code == ErrorCode::kNotFound) << id;
    v1::ContainerStatusRequest container;
    container.set_container_id(id);
    code = cri().ContainerStatus(container).code();
    EXPECT_TRUE(code == ErrorCode::kInvalidArgument || code == ErrorCode::kNotFound) << id;
    v1::ExecSyncRequest exec;
    exec.set_container_id(id);
    exec.add_cmd("true");
    EXPECT_FALSE(cri().ExecSync(exec).ok()) << id;
  }
  v1::ContainerStatusRequest status;
  status.set_container_id(unknown);
  EXPECT_EQ(cri().ContainerStatus(status).code(), ErrorCode::kNotFound);
  v1::StartContainerRequest start;
  start.set_container_id(unknown);
  EXPECT_EQ(cri().StartContainer(start).code(), ErrorCode::kNotFound);
  v1::ExecSyncRequest exec;
  exec.set_container_id(unknown);
  exec.add_cmd("true");
  EXPECT_EQ(cri().ExecSync(exec).code(), ErrorCode::kNotFound);
  EXPECT_EQ(TryCreate(unknown, ShellConfig("main", "true")).code(), ErrorCode::kNotFound);
  v1::UpdateContainerResourcesRequest update;
  update.set_container_id(unknown);
  update.mutable_linux()->set_cpu_shares(2);
  EXPECT_EQ(cri().UpdateContainerResources(update).code(), ErrorCode::kNotFound);
}

TEST_P(BadInput, ExecSyncNeedsACommandAndASaneTimeout) {
  const std::string id = StartSleeper(RunPod());
  v1::ExecSyncRequest request;
  request.set_container_id(id);
  ExpectRefused(cri().ExecSync(request), "no command", "cmd");
  request.add_cmd("true");
  request.set_timeout(-1);
  ExpectRefused(cri().ExecSync(request), "negative timeout", "timeout");
  v1::StopContainerRequest stop;
  stop.set_container_id(id);
  stop.set_timeout(-1);
  ExpectRefused(cri().StopContainer(stop), "negative grace", "timeout");
}

TEST_P(BadInput, ImageReferencesThatAreNone) {
  for (const char* reference : {"", "UPPER", "a b", "name:tag:tag", "name@sha256:12", "/x"}) {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(reference);
    auto reply = cri().ImageStatus(request);
    ExpectRefused(reply, reference, "image");
  }
}

CATAMARAN_ON_EVERY_HANDLER(BadInput);

}  // namespace
}  // namespace catamaran::e2e
