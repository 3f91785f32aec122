#include "cri/service/image_messages.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {

// An image that is not there is an empty answer, not an error.
Result<v1::ImageStatusResponse> ImageStatus(const v1::ImageStatusRequest& request,
                                            const CallContext&, ImageStore& images) {
  if (request.image().image().empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "image.image: '' is wrong: must be an image's id, tag or digest");
  }
  v1::ImageStatusResponse response;
  ASSIGN_OR_RETURN(auto image, images.Find(request.image().image()));
  // What the policy does not let be used under this name is not here for who asks by it: the
  // kubelet pulls it again, which verifies it or says why not.
  if (!image || !images.Admit(*image, request.image().image())) return response;
  *response.mutable_image() = ToMessage(*image);
  if (request.verbose()) {
    ASSIGN_OR_RETURN(const auto config, images.ConfigText(image->id));
    (*response.mutable_info())["info"] = ImageDetails(*image, config);
  }
  return response;
}

}  // namespace catamaran
