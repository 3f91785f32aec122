#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

constexpr uint32_t kFormatVersion = 1;
// What docker and containerd give a pod; applications are built for it.
constexpr uint64_t kShmSize = 64 << 20;

Status TranslateCgroup(const runtime::v1::LinuxPodSandboxConfig& config, const SandboxPlace& place,
                       spec::SandboxSpec* out) {
  constexpr char kField[] = "config.linux.cgroup_parent";
  std::string parent = config.cgroup_parent();
  if (parent.empty()) {
    parent = place.cgroup_root;
  } else if (place.cgroup_driver == CgroupDriver::kCgroupfs) {
    ASSIGN_OR_RETURN(parent, CheckAbsolutePath(kField, parent));
  }
  ASSIGN_OR_RETURN(*out->mutable_cgroup_path(),
                   PodCgroupPath(place.cgroup_driver, kField, parent, place.id));
  return {};
}

}  // namespace

Result<spec::SandboxSpec> TranslateSandbox(const runtime::v1::PodSandboxConfig& config,
                                           const HandlerConfig& handler, const SandboxPlace& place,
                                           const HostFacts& host) {
  RETURN_IF_ERROR(RefuseUnsupported(config));
  RETURN_IF_ERROR(SandboxName(config.metadata()));
  const auto& context = config.linux().security_context();
  spec::SandboxSpec out;
  out.set_format_version(kFormatVersion);
  out.set_pod_id(place.id.value());
  out.set_state_directory(place.state_directory.string());
  out.set_data_directory(place.data_directory.string());
  out.set_shm_size_bytes(kShmSize);
  out.set_privileged(context.privileged());
  if (IsVm(handler)) *out.mutable_machine() = handler.machine;
  RETURN_IF_ERROR(TranslateCgroup(config.linux(), place, &out));
  RETURN_IF_ERROR(TranslateSandboxNamespaces(context, handler, &out));
  RETURN_IF_ERROR(TranslateSandboxSecurity(context, handler, host, &out));
  RETURN_IF_ERROR(TranslateSysctls(config.linux(), &out));
  RETURN_IF_ERROR(TranslateSandboxFiles(config, host, &out));
  RETURN_IF_ERROR(TranslatePodNetwork(config, place.id));  // its fields are refused here, early
  if (!config.log_directory().empty()) {
    RETURN_IF_ERROR(CheckAbsolutePath("config.log_directory", config.log_directory()));
  }
  RETURN_IF_ERROR(
      TranslateResources(config.linux().overhead(), "config.linux.overhead", handler, host));
  ASSIGN_OR_RETURN(
      *out.mutable_resources(),
      TranslateResources(config.linux().resources(), "config.linux.resources", handler, host));
  return out;
}

}  // namespace catamaran
