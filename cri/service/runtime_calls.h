#pragma once

#include <map>
#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/config/config.h"
#include "cri/images/image_store.h"
#include "cri/network/pod_network.h"
#include "cri/registry/image_puller.h"
#include "cri/service/call_context.h"
#include "cri/service/stream_writer.h"
#include "cri/telemetry/meters.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The calls about the runtime itself and about images, one function each; those about pods and
// containers are in cri/pods/operations.h. They know nothing of gRPC, may be called from any
// number of threads and validate what they are given.

namespace v1 = ::runtime::v1;

Result<v1::VersionResponse> GetVersion(const v1::VersionRequest& request, const CallContext& call);
// more_info: of other parts, added to the verbose answer.
Result<v1::StatusResponse> GetStatus(const v1::StatusRequest& request, const CallContext& call,
                                     const Config& config, const PodNetwork& network,
                                     const std::map<std::string, std::string>& more_info = {});
Result<v1::RuntimeConfigResponse> GetRuntimeConfig(const v1::RuntimeConfigRequest& request,
                                                   const CallContext& call, const Config& config);
Result<v1::UpdateRuntimeConfigResponse> UpdateRuntimeConfig(
    const v1::UpdateRuntimeConfigRequest& request, const CallContext& call, PodNetwork& network);

Result<v1::ListImagesResponse> ListImages(const v1::ListImagesRequest& request,
                                          const CallContext& call, ImageStore& images);
// The same as a stream of messages of bounded size.
Status StreamImages(const v1::StreamImagesRequest& request, const CallContext& call,
                    ImageStore& images, const StreamWriter<v1::StreamImagesResponse>& writer);
Result<v1::ImageStatusResponse> ImageStatus(const v1::ImageStatusRequest& request,
                                            const CallContext& call, ImageStore& images);
Result<v1::RemoveImageResponse> RemoveImage(const v1::RemoveImageRequest& request,
                                            const CallContext& call, ImageStore& images);
// A registry that cannot be reached is kUnknown with a text that the kubelet knows.
Result<v1::PullImageResponse> PullImage(const v1::PullImageRequest& request,
                                        const CallContext& call, ImagePuller& puller,
                                        Meters& meters);
// A pull, counted.
Result<Image> MeasuredPull(ImagePuller& puller, Meters& meters, const std::string& reference,
                           const std::optional<AuthFields>& auth,
                           const ImageStore::LoadOptions& options);
Result<v1::ImageFsInfoResponse> ImageFsInfo(const v1::ImageFsInfoRequest& request,
                                            const CallContext& call, const Config& config,
                                            ImageStore& images);

}  // namespace catamaran
