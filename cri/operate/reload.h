#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "cri/config/config.h"
#include "cri/registry/image_puller.h"
#include "cri/signatures/signature_policy.h"
#include "cri/telemetry/meters.h"
#include "cri/telemetry/metrics_server.h"
#include "cri/telemetry/tracer.h"

namespace catamaran {

// Gives a running daemon what its configuration says now: all of it or nothing, so that what runs
// is always what one file said. Logs what changed, or why nothing did. Thread-safe.
class Reloader {
 public:
  struct Parts {
    SignaturePolicy& policy;
    ImagePuller& puller;
    MetricsServer& metrics;
    Meters& meters;
    Tracer& tracer;
  };
  // `read` gives the configuration as it is now. All outlive this.
  Reloader(Config current, std::function<Result<Config>()> read, Parts parts)
      : current_(std::move(current)), read_(std::move(read)), parts_(parts) {}

  // What changed, as "log.level: info -> debug". kFailedPrecondition naming each key that only
  // another daemon can take; what is wrong with the file otherwise.
  Result<std::vector<std::string>> Reload();

 private:
  Result<std::vector<std::string>> TryReload();
  Status Apply(const Config& config);

  std::mutex mutex_;  // one at a time
  Config current_;
  const std::function<Result<Config>()> read_;
  const Parts parts_;
};

}  // namespace catamaran
