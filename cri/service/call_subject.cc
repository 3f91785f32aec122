#include "cri/service/call_subject.h"

namespace catamaran {

void CallSubject::LookUp(Pods& pods) {
  std::shared_ptr<Pod> found;
  if (!pod.empty())
    found = pods.table().FindPod(pod);
  else if (!container.empty())
    found = pods.table().FindContainer(container).pod;
  if (!found) return;
  pod = found->id.value();
  const std::lock_guard lock(found->mutex);
  handler = found->record.handler();
  const auto& metadata = found->record.config().metadata();
  if (name.empty()) name = metadata.namespace_() + "/" + metadata.name();
}

// In OpenTelemetry's words where it has some.
void CallSubject::NoteIn(const Tracer::Call& trace) const {
  if (!trace) return;
  trace.Note("catamaran.handler", handler);
  trace.Note("catamaran.pod.id", pod);
  if (const size_t slash = name.find('/'); slash != std::string::npos) {
    trace.Note("k8s.namespace.name", name.substr(0, slash));
    trace.Note("k8s.pod.name", name.substr(slash + 1));
  }
  trace.Note("container.id", container);
  trace.Note("container.name", container_name);
  trace.Note("container.image.name", image);
}

}  // namespace catamaran
