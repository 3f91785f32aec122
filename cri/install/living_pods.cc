#include "cri/install/living_pods.h"

#include "sandbox/base/files.h"
#include "shim/client/shim_lock.h"

namespace catamaran {

Result<std::vector<std::string>> LivingPods(const HostPath& run) {
  std::vector<std::string> living;
  const HostPath pods = run / "pods";
  if (!Exists(pods.value())) return living;
  ASSIGN_OR_RETURN(const auto names, ListDirectory(pods.value()));
  for (const std::string& name : names) {
    if (!Exists((pods / name / "record").value())) continue;
    ASSIGN_OR_RETURN(const auto lock, LookAtLock(ShimPaths{pods / name}));
    if (lock.holder != ShimLockState::Holder::kNobody) living.push_back(name);
  }
  return living;
}

}  // namespace catamaran
