#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/config/config.h"
#include "cri/images/image_store.h"
#include "cri/network/pod_network.h"
#include "cri/pods/pods.h"
#include "cri/registry/image_puller.h"
#include "cri/streaming/streaming_server.h"
#include "cri/telemetry/calls_in_flight.h"
#include "cri/telemetry/tracer.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What the calls work on. All outlive the server.
struct ServerParts {
  const Config& config;
  ImageStore& images;
  ImagePuller& puller;
  PodNetwork& network;
  Pods& pods;
  StreamingServer& streaming;
  CallsInFlight& calls;
  Tracer& tracer;
  // Reads the configuration anew and says what changed, a line each; the command line asks.
  std::function<Result<std::vector<std::string>>()> reload;
};

// The CRI (and the private control service) on one unix socket: the only place that knows gRPC.
// A call is a plain function Result<Response>(request, context, parts); here it gets a thread, its
// caller's deadline and a line in the log, and its Error becomes the one grpc::Status. Calls never
// wait for one another here; at most kMostThreads run at once, further ones are told
// RESOURCE_EXHAUSTED.
class GrpcServer {
 public:
  static constexpr int kMostThreads = 512;
  static constexpr int kLargestMessage = 16 << 20;  // the kubelet's limit, both ways

  // Listens on `socket` (made 0600) in a folder that only root may enter: a missing one is made
  // 0700, an open one is kFailedPrecondition.
  static Result<std::unique_ptr<GrpcServer>> Start(const HostPath& socket,
                                                   const ServerParts& parts);
  virtual ~GrpcServer() = default;

  // Takes no further calls, lets those in flight end until the deadline, then cancels them.
  virtual void Shutdown(Deadline deadline) = 0;
};

}  // namespace catamaran
