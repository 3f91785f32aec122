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
  if (!image) return response;
  *response.mutable_image() = ToMessage(*image);
  if (request.verbose()) (*response.mutable_info())["info"] = ImageDetails(*image);
  return response;
}

}  // namespace catamaran
