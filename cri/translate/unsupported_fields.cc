// The list of what the CRI can ask and this runtime does not do. It is refused by name, because a
// pod that runs without what it asked for is worse than one that does not start. Here stand the
// fields that are never honoured; user namespaces are refused where their fields are checked
// (namespaces.cc). What other runtimes ignore by documented custom is ignored here too:
//
//   PodSandboxConfig.linux.security_context.{run_as_user, run_as_group, supplemental_groups,
//     supplemental_groups_policy, readonly_rootfs, seccomp, apparmor}: nothing runs in the sandbox
//     itself; they are checked, no more.
//   PodSandboxConfig.linux.overhead: the kubelet accounts for it in the pod's cgroup; it is checked
//     and shown, and what UpdatePodSandboxResources says of it counts into the pod's own limits.
//   Mount.selinux_relabel where the host has no SELinux: there is no label to set.
//   ImageSpec.runtime_handler: images are the same for every handler.
#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {

Status RefuseUnsupported(const runtime::v1::PodSandboxConfig& config) {
  if (config.has_windows()) return UnsupportedField("config.windows", "pods are Linux only");
  return {};
}

Status RefuseUnsupported(const runtime::v1::ContainerConfig& config) {
  if (config.has_windows()) return UnsupportedField("config.windows", "containers are Linux only");
  return {};
}

}  // namespace catamaran
