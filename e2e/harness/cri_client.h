#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"
#include "sandbox/base/result.h"

namespace catamaran::e2e {

namespace v1 = ::runtime::v1;

// What a call gave: the answer, or the error that says why not.
template <typename Response>
struct Reply {
  Error error{ErrorCode{0}, 0, ""};  // code 0: the call succeeded
  Response response;

  bool ok() const { return error.code == ErrorCode{0}; }
  ErrorCode code() const { return error.code; }
  const std::string& message() const { return error.message; }
  const Response* operator->() const { return &response; }
};

#define CATAMARAN_CRI_VERBS(VERB)          \
  VERB(runtime, Version)                   \
  VERB(runtime, Status)                    \
  VERB(runtime, RuntimeConfig)             \
  VERB(runtime, UpdateRuntimeConfig)       \
  VERB(runtime, RunPodSandbox)             \
  VERB(runtime, StopPodSandbox)            \
  VERB(runtime, RemovePodSandbox)          \
  VERB(runtime, PodSandboxStatus)          \
  VERB(runtime, ListPodSandbox)            \
  VERB(runtime, UpdatePodSandboxResources) \
  VERB(runtime, CreateContainer)           \
  VERB(runtime, StartContainer)            \
  VERB(runtime, StopContainer)             \
  VERB(runtime, RemoveContainer)           \
  VERB(runtime, ContainerStatus)           \
  VERB(runtime, ListContainers)            \
  VERB(runtime, UpdateContainerResources)  \
  VERB(runtime, ReopenContainerLog)        \
  VERB(runtime, ExecSync)                  \
  VERB(runtime, Exec)                      \
  VERB(runtime, Attach)                    \
  VERB(runtime, PortForward)               \
  VERB(runtime, ContainerStats)            \
  VERB(runtime, ListContainerStats)        \
  VERB(runtime, PodSandboxStats)           \
  VERB(runtime, ListPodSandboxStats)       \
  VERB(runtime, CheckpointContainer)       \
  VERB(runtime, ListMetricDescriptors)     \
  VERB(runtime, ListPodSandboxMetrics)     \
  VERB(images, ListImages)                 \
  VERB(images, ImageStatus)                \
  VERB(images, PullImage)                  \
  VERB(images, RemoveImage)                \
  VERB(images, ImageFsInfo)

// Calls that answer with a stream of messages, and end.
#define CATAMARAN_CRI_STREAMS(VERB) \
  VERB(StreamPodSandboxes)          \
  VERB(StreamContainers)            \
  VERB(StreamContainerStats)        \
  VERB(StreamPodSandboxStats)       \
  VERB(StreamPodSandboxMetrics)

// A CRI client as simple as the kubelet's: one connection to one socket, every verb a blocking call
// with a deadline. Thread-safe.
class CriClient {
 public:
  // endpoint: "unix:///path".
  explicit CriClient(const std::string& endpoint);
  ~CriClient();

  // Drops the connection and makes a new one: after a daemon was killed gRPC else waits before it
  // tries again.
  void Reconnect();

  // A line of metadata that goes with every call from now on; an empty value: none of that name.
  void SendAlong(const std::string& name, const std::string& value);

  // Any method ("RuntimeService/Exec") with an empty request.
  Reply<std::string> CallEmpty(const std::string& method);

#define CATAMARAN_CRI_VERB(service, Verb)                          \
  Reply<v1::Verb##Response> Verb(const v1::Verb##Request& request, \
                                 std::chrono::seconds limit = std::chrono::seconds(120));
  CATAMARAN_CRI_VERBS(CATAMARAN_CRI_VERB)
#undef CATAMARAN_CRI_VERB
#define CATAMARAN_CRI_STREAM(Verb) \
  Reply<std::vector<v1::Verb##Response>> Verb(const v1::Verb##Request& request);
  CATAMARAN_CRI_STREAMS(CATAMARAN_CRI_STREAM)
#undef CATAMARAN_CRI_STREAM

  const std::string& endpoint() const { return endpoint_; }

 private:
  struct Stubs;  // hides gRPC's headers, which cost a dozen seconds per file
  std::map<std::string, std::string> Metadata() const;

  std::string endpoint_;
  std::unique_ptr<Stubs> stubs_;
  mutable std::mutex metadata_mutex_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace catamaran::e2e
