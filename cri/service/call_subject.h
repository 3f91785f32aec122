#pragma once

#include <string>
#include <string_view>

#include "cri/config/config.h"
#include "cri/pods/pods.h"
#include "cri/service/call_description.h"
#include "cri/telemetry/tracer.h"

namespace catamaran {

// Whom a call of the CRI is about, as its line in the log and its trace name them. "" where that is
// nobody or is not known.
struct CallSubject {
  std::string handler;         // never one that is not configured
  std::string pod, container;  // ids
  std::string name;            // of the pod: "namespace/name"
  std::string container_name;
  std::string image;

  // What the daemon's table knows of them: handler, the pod of a container, its name.
  void LookUp(Pods& pods);
  void NoteIn(const Tracer::Call& trace) const;
};

template <typename Message>
CallSubject SubjectOf(const Config& config, Pods& pods, const Message& request) {
  CallSubject subject{.pod = PodIdOf(request),
                      .container = ContainerIdOf(request),
                      .name = PodNameOf(request),
                      .container_name = ContainerNameOf(request),
                      .image = ImageOf(request)};
  if constexpr (requires { request.runtime_handler(), request.config(); }) {
    const HandlerConfig* handler = config.FindHandler(request.runtime_handler());
    if (handler != nullptr) subject.handler = handler->name;
  } else {
    subject.LookUp(pods);
  }
  return subject;
}

// Adds the ids that the answer brings.
template <typename Message>
void Complete(const Message& response, CallSubject* subject) {
  if (subject->pod.empty()) subject->pod = PodIdOf(response);
  if (subject->container.empty()) subject->container = ContainerIdOf(response);
}

}  // namespace catamaran
