#pragma once

#include <memory>
#include <string>

#include "cri/network/pod_network.h"

namespace catamaran {

// The network of a node that has none yet: never ready, gives pods nothing (those on the host's
// network run all the same), has nothing to take back.
class AbsentNetwork final : public PodNetwork {
 public:
  // Reason and message of the NetworkReady condition, which are also Attach's error.
  AbsentNetwork(std::string reason, std::string message)
      : readiness_{false, std::move(reason), std::move(message)} {}

  Readiness ready() const override { return readiness_; }
  Result<PodNetworkResult> Attach(const PodNetworkRequest&, Deadline) override {
    return Fail(ErrorCode::kUnavailable, "{}: {}", readiness_.reason, readiness_.message);
  }
  Status Detach(const PodId&, Deadline) override { return {}; }
  Status DetachExcept(const std::vector<PodId>&, Deadline) override { return {}; }
  Status SetPodCidr(const std::string&) override { return {}; }

 private:
  const Readiness readiness_;
};

}  // namespace catamaran
