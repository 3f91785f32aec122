#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "cri/api/runtime.pb.h"
#include "sandbox/base/result.h"

namespace catamaran {

namespace v1 = ::runtime::v1;

// What the command line asks of a running daemon, or of any other runtime, by the CRI. Calls block,
// each for at most the time it was made with; thread-safe.
class CriClient {
 public:
  // `listen`: "unix:///path". Connects with the first call.
  static Result<std::unique_ptr<CriClient>> Create(const std::string& listen,
                                                   std::chrono::seconds patience);
  virtual ~CriClient() = default;

  virtual Result<v1::VersionResponse> Version(const v1::VersionRequest& request) = 0;
  virtual Result<v1::StatusResponse> Status(const v1::StatusRequest& request) = 0;
  virtual Result<v1::ListPodSandboxResponse> ListPodSandbox(
      const v1::ListPodSandboxRequest& request) = 0;
  virtual Result<v1::PodSandboxStatusResponse> PodSandboxStatus(
      const v1::PodSandboxStatusRequest& request) = 0;
  virtual Result<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
      const v1::ListPodSandboxStatsRequest& request) = 0;
  virtual Result<v1::ListContainersResponse> ListContainers(
      const v1::ListContainersRequest& request) = 0;
  virtual Result<v1::ContainerStatusResponse> ContainerStatus(
      const v1::ContainerStatusRequest& request) = 0;
  virtual Result<v1::ListImagesResponse> ListImages(const v1::ListImagesRequest& request) = 0;
  virtual Result<v1::ImageFsInfoResponse> ImageFsInfo(const v1::ImageFsInfoRequest& request) = 0;
};

}  // namespace catamaran
