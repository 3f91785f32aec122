#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Serves one text at /metrics over HTTP/1.1: on a unix socket for whoever may enter its folder,
// and where the configuration says so on a TCP address, with TLS or on loopback. One thread; a
// client that stalls is given up after kPatience and keeps no other waiting. Thread-safe.
class MetricsServer {
 public:
  // Makes the text, on the server's thread: one at a time.
  using Producer = std::function<std::string()>;
  static constexpr int kMostClients = 32;  // further ones are hung up on
  static constexpr std::chrono::seconds kPatience{10};

  // `socket`, which may be left over from a daemon before, is made 0600.
  static Result<std::unique_ptr<MetricsServer>> Start(const HostPath& socket,
                                                      const MetricsConfig& config,
                                                      Producer produce);
  virtual ~MetricsServer() = default;

  // Serves as this says from now on, with certificates read anew; where that fails all stays as it
  // was. kInvalidArgument names the key of the configuration.
  virtual Status Replace(const MetricsConfig& config) = 0;
  // "https://10.0.0.1:9234/metrics"; "" without an address.
  virtual std::string url() const = 0;
};

}  // namespace catamaran
