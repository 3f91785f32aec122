#include "sandbox/container/plan.h"

#include <algorithm>

#include "sandbox/container/hooks.h"
#include "sandbox/container/id_maps.h"
#include "sandbox/container/plan_mounts.h"
#include "sandbox/container/sysctls.h"
#include "sandbox/spec/scheduling.h"

namespace catamaran {
namespace {

// Ids become names of folders and groups.
Status CheckId(const std::string& id, const char* field) {
  const bool allowed = !id.empty() && id.size() <= 128 && id[0] != '.' &&
                       std::all_of(id.begin(), id.end(), [](unsigned char c) {
                         return isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                       });
  if (!allowed)
    return Fail(ErrorCode::kInvalidArgument,
                "{} \"{}\": 1 to 128 letters, digits, '-', '_' and '.' are needed", field, id);
  return {};
}

Status CheckAbsolute(const std::string& path, const char* field) {
  if (path.empty() || path[0] != '/')
    return Fail(ErrorCode::kInvalidArgument, "{} \"{}\": an absolute path is needed", field, path);
  return {};
}

Status CheckProcess(const spec::ProcessSpec& process) {
  if (process.args_size() == 0 || process.args(0).empty())
    return Fail(ErrorCode::kInvalidArgument, "process.args is empty: a program is needed");
  if (!process.cwd().empty()) RETURN_IF_ERROR(CheckAbsolute(process.cwd(), "process.cwd"));
  for (const auto& argument : process.args())
    if (argument.find('\0') != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument, "process.args: an argument holds a zero byte");
  for (const auto& variable : process.env())
    if (variable.find('=') == std::string::npos || variable[0] == '=' ||
        variable.find('\0') != std::string::npos)
      return Fail(ErrorCode::kInvalidArgument, "process.env \"{}\": KEY=VALUE is needed", variable);
  return CheckScheduling(process, "process.");
}

Status CheckRootfs(const spec::RootfsSpec& rootfs) {
  if (rootfs.layers_size() == 0 && rootfs.lower_directories_size() == 0)
    return Fail(ErrorCode::kInvalidArgument, "rootfs has neither layers nor lower_directories");
  if (rootfs.layers_size() > 0 && rootfs.lower_directories_size() > 0)
    return Fail(ErrorCode::kInvalidArgument, "rootfs has both layers and lower_directories");
  return CheckAbsolute(rootfs.writable_directory(), "rootfs.writable_directory");
}

Result<NamespacePlan> PlanNamespaces(const PlanInput& input) {
  const auto& sandbox = input.sandbox;
  const auto& container = input.container;
  NamespacePlan plan;
  plan.pod_network = sandbox.network() != spec::NODE && !sandbox.network_namespace().empty();
  plan.pod_ipc = sandbox.ipc() != spec::NODE;
  plan.pod_uts = sandbox.network() != spec::NODE;
  plan.new_cgroup = input.cgroups.unified && !container.privileged();
  switch (container.pid()) {
    case spec::CONTAINER:
      plan.new_pid = true;
      return plan;
    case spec::NODE:
      return plan;
    case spec::POD:
      if (sandbox.pid() != spec::POD)
        return Fail(ErrorCode::kInvalidArgument,
                    "pid POD: the sandbox was made without a shared pid namespace");
      plan.pod_pid = true;
      return plan;
    case spec::TARGET:
      if (container.pid_target().empty())
        return Fail(ErrorCode::kInvalidArgument, "pid TARGET needs pid_target");
      plan.pid_of_container = container.pid_target();
      return plan;
    default:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "pid {}: POD, CONTAINER, NODE or TARGET is needed",
              static_cast<int>(container.pid()));
}

Result<std::vector<std::string>> NormalPaths(
    const google::protobuf::RepeatedPtrField<std::string>& paths, const char* field) {
  std::vector<std::string> normal;
  for (const auto& path : paths) {
    ASSIGN_OR_RETURN(normal.emplace_back(), NormalContainerPath(path, field));
    if (normal.back() == "/")
      return Fail(ErrorCode::kInvalidArgument, "{} \"/\": not the whole root", field);
  }
  return normal;
}

bool IsSharedMode(spec::NamespaceMode mode) { return mode == spec::POD || mode == spec::NODE; }

// Namespaces of the machine are not the pod's root's to change: mqueue and proc would be refused.
Status CheckUserNamespace(const spec::SandboxSpec& sandbox) {
  if (!sandbox.has_user_namespace()) return {};
  if (sandbox.pid() == spec::NODE || sandbox.ipc() == spec::NODE)
    return Fail(ErrorCode::kInvalidArgument,
                "user_namespace: not together with the machine's pid or ipc namespace");
  return CheckMappings(sandbox.user_namespace(), "user_namespace");
}

void PlanUserNamespace(const spec::SandboxSpec& sandbox, ContainerPlan& plan) {
  if (!sandbox.has_user_namespace()) return;
  plan.user_namespace = sandbox.user_namespace();
  plan.id_maps = ToIdMaps(sandbox.user_namespace());
  plan.root_uid = OutsideId(sandbox.user_namespace().uids(), 0).value_or(0);
  plan.root_gid = OutsideId(sandbox.user_namespace().gids(), 0).value_or(0);
}

}  // namespace

Result<ContainerPlan> PlanContainer(const PlanInput& input) {
  const auto& container = input.container;
  RETURN_IF_ERROR(CheckId(container.container_id(), "container_id"));
  if (container.container_id() == "shim")
    return Fail(ErrorCode::kInvalidArgument,
                "container_id \"shim\" is the name of the shim's group");
  if (container.privileged() && !input.sandbox.privileged())
    return Fail(ErrorCode::kInvalidArgument, "privileged: the sandbox is not privileged");
  RETURN_IF_ERROR(CheckRootfs(container.rootfs()));
  RETURN_IF_ERROR(CheckProcess(container.process()));
  RETURN_IF_ERROR(ValidateHooks(container.hooks()));
  ContainerPlan plan;
  ASSIGN_OR_RETURN(plan.namespaces, PlanNamespaces(input));
  PlanUserNamespace(input.sandbox, plan);
  plan.rootfs = container.rootfs();
  plan.process = container.process();
  ASSIGN_OR_RETURN(plan.mounts, PlanMounts(input));
  ASSIGN_OR_RETURN(plan.masked_paths, NormalPaths(container.masked_paths(), "masked_paths"));
  ASSIGN_OR_RETURN(plan.readonly_paths, NormalPaths(container.readonly_paths(), "readonly_paths"));
  plan.makes_devices = std::none_of(
      plan.mounts.begin(), plan.mounts.end(),
      [](const PlannedMount& mount) { return mount.target == "/dev" && !mount.field.empty(); });
  if (!plan.makes_devices) return plan;
  plan.devices = DefaultDevices();
  // What is asked for besides keeps its owner on the machine, who has no name in a user namespace.
  for (auto& device : plan.devices) {
    device.uid = plan.root_uid;
    device.gid = plan.root_gid;
  }
  for (const auto& device : input.devices) {
    std::erase_if(plan.devices, [&](const auto& other) { return other.path == device.path; });
    plan.devices.push_back(device);
    if (!plan.user_namespace) continue;
    PlannedDevice& owned = plan.devices.back();
    if (owned.uid_inside)
      owned.uid = OutsideId(plan.user_namespace->uids(), owned.uid).value_or(plan.root_uid);
    if (owned.gid_inside)
      owned.gid = OutsideId(plan.user_namespace->gids(), owned.gid).value_or(plan.root_gid);
  }
  plan.links = {{"/dev/ptmx", "pts/ptmx"},
                {"/dev/fd", "/proc/self/fd"},
                {"/dev/stdin", "/proc/self/fd/0"},
                {"/dev/stdout", "/proc/self/fd/1"},
                {"/dev/stderr", "/proc/self/fd/2"}};
  return plan;
}

Status ValidateSandbox(const spec::SandboxSpec& sandbox) {
  RETURN_IF_ERROR(CheckId(sandbox.pod_id(), "pod_id"));
  RETURN_IF_ERROR(CheckAbsolute(sandbox.state_directory(), "state_directory"));
  RETURN_IF_ERROR(CheckAbsolute(sandbox.cgroup_path(), "cgroup_path"));
  RETURN_IF_ERROR(CheckUserNamespace(sandbox));
  if (!IsSharedMode(sandbox.network()))
    return Fail(ErrorCode::kInvalidArgument, "network: POD or NODE is needed");
  if (!IsSharedMode(sandbox.ipc()))
    return Fail(ErrorCode::kInvalidArgument, "ipc: POD or NODE is needed");
  if (sandbox.pid() == spec::TARGET)
    return Fail(ErrorCode::kInvalidArgument, "pid: POD, CONTAINER or NODE is needed");
  if (sandbox.network() == spec::NODE && !sandbox.network_namespace().empty())
    return Fail(ErrorCode::kInvalidArgument,
                "network_namespace \"{}\": network NODE has none of its own",
                sandbox.network_namespace());
  if (sandbox.hostname().size() > 64)
    return Fail(ErrorCode::kInvalidArgument, "hostname \"{}\": longer than 64 bytes",
                sandbox.hostname());
  for (const auto& [name, value] : sandbox.sysctls()) RETURN_IF_ERROR(SysctlPath(sandbox, name));
  for (const auto& file : sandbox.files())
    RETURN_IF_ERROR(NormalContainerPath(file.container_path(), "files.container_path"));
  return {};
}

}  // namespace catamaran
