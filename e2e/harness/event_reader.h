#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"

namespace catamaran::e2e {

// A subscriber of GetContainerEvents, as the kubelet's evented PLEG is one. Made once the daemon
// serves it: what happens from then on is told. Thread-safe.
class EventReader {
 public:
  explicit EventReader(const std::string& endpoint);
  ~EventReader();

  // All that came so far.
  std::vector<::runtime::v1::ContainerEventResponse> Events() const;
  // The same of one container or sandbox, as words: "CREATED", "STARTED", "STOPPED", "DELETED".
  std::vector<std::string> Of(const std::string& id) const;
  // The stream has ended: its daemon has.
  bool ended() const;

 private:
  struct State;  // hides gRPC's headers
  std::unique_ptr<State> state_;
};

}  // namespace catamaran::e2e
