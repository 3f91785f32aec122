#include "cri/images/image_policy.h"
#include "cri/registry/image_puller.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {
namespace {

std::optional<AuthFields> FieldsOf(const v1::PullImageRequest& request) {
  const v1::AuthConfig& auth = request.auth();
  AuthFields fields{auth.username(),       auth.password(),       auth.auth(),
                    auth.server_address(), auth.identity_token(), auth.registry_token()};
  if (fields.empty()) return std::nullopt;  // what the kubelet sends where it knows none
  return fields;
}

// The kubelet tells two failures from others by the beginning of the text, which it only sees bare
// where the code is UNKNOWN (k8s.io/cri-api, pkg/errors).
Error AsTheKubeletReads(Error error) {
  std::string reason;
  // Out of reach, broken, or not the one it should be (TLS).
  if (error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kFailedPrecondition)
    reason = "RegistryUnavailable";
  if (IsForbidden(error)) reason = "SignatureValidationFailed";
  if (reason.empty()) return error;
  error.code = ErrorCode::kUnknown;
  return std::move(error).While(reason);
}

}  // namespace

Result<Image> MeasuredPull(ImagePuller& puller, Meters& meters, const std::string& reference,
                           const std::optional<AuthFields>& auth,
                           const ImageStore::LoadOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  auto image = puller.Pull(reference, auth, options);
  meters.PullEnded(std::chrono::steady_clock::now() - began, image ? nullptr : &image.error());
  return image;
}

Result<v1::PullImageResponse> PullImage(const v1::PullImageRequest& request,
                                        const CallContext& call, ImagePuller& puller,
                                        Meters& meters) {
  if (request.image().image().empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "image.image: '' is wrong: must be an image's tag or digest");
  }
  ImageStore::LoadOptions options;
  options.deadline = call.deadline;
  options.cancelled = call.is_cancelled;
  auto image = MeasuredPull(puller, meters, request.image().image(), FieldsOf(request), options);
  if (!image) return tl::unexpected(AsTheKubeletReads(std::move(image).error()));
  v1::PullImageResponse response;
  response.set_image_ref(image->id);
  return response;
}

}  // namespace catamaran
