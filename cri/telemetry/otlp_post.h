#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// One collector of traces: the client's end of OTLP over HTTP. One thread at a time.
class OtlpPost {
 public:
  enum class Outcome {
    kTaken,
    kLater,    // the collector, or the way to it, cannot take it now
    kRefused,  // and never will
  };
  struct Answer {
    Outcome outcome = Outcome::kRefused;
    std::string why;                // not taken: for people
    std::string body;               // taken: what it says
    std::chrono::seconds pause{0};  // it asks for (Retry-After); 0: nothing said
  };
  // Reads the files of `config` now. kInvalidArgument names the key.
  static Result<std::unique_ptr<OtlpPost>> Open(const TracingConfig& config,
                                                const std::string& version);
  virtual ~OtlpPost() = default;
  // Blocks for at most `patience`, or until `cancelled` says so, which is asked once a second.
  virtual Answer Post(const std::string& body, std::chrono::milliseconds patience,
                      const std::function<bool()>& cancelled) = 0;
};

}  // namespace catamaran
