#include "cri/service/runtime_calls.h"

namespace catamaran {

Result<v1::RemoveImageResponse> RemoveImage(const v1::RemoveImageRequest& request,
                                            const CallContext&, ImageStore& images) {
  if (request.image().image().empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "image.image: '' is wrong: must be an image's id, tag or digest");
  }
  RETURN_IF_ERROR(images.Remove(request.image().image()));
  return v1::RemoveImageResponse();
}

}  // namespace catamaran
