#include "cri/service/image_messages.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {

Result<v1::ListImagesResponse> ListImages(const v1::ListImagesRequest& request, const CallContext&,
                                          ImageStore& images) {
  v1::ListImagesResponse response;
  const std::string& wanted = request.filter().image().image();
  if (!wanted.empty()) {
    ASSIGN_OR_RETURN(auto image, images.Find(wanted));
    if (image) *response.add_images() = ToMessage(*image);
    return response;
  }
  ASSIGN_OR_RETURN(auto all, images.List());
  for (const Image& image : all) *response.add_images() = ToMessage(image);
  return response;
}

}  // namespace catamaran
