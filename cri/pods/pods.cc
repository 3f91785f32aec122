#include "cri/pods/pods.h"

namespace catamaran {

Pods::Pods(PodsOptions options, PodsParts parts, std::string boot_id)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      records_(options_.run, std::move(boot_id)) {}

Pods::~Pods() {
  background_.Finish();
  for (const auto& pod : table_.Pods()) {
    std::shared_ptr<ShimClient> shim;  // its destructor may wait for a callback that wants the lock
    std::lock_guard lock(pod->mutex);
    shim.swap(pod->shim);
  }
  parts_.shims.reset();
}

Result<const Handler*> Pods::FindHandler(const std::string& runtime_handler) const {
  const std::string& name = runtime_handler.empty() ? options_.default_handler : runtime_handler;
  std::string known;
  for (const auto& handler : options_.handlers) {
    if (handler.name == name) return &handler;
    known += (known.empty() ? "" : ", ") + handler.name;
  }
  return Fail(ErrorCode::kInvalidArgument,
              "runtime_handler \"{}\" is not configured; there are: {}", name, known);
}

std::shared_ptr<Pod> Pods::NewPod(const PodId& id) const {
  return std::make_shared<Pod>(id, ShimPaths{records_.PodFolder(id)},
                               options_.root / "pods" / id.value());
}

}  // namespace catamaran
