#include "cri/service/image_messages.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {

namespace {

Result<std::vector<Image>> MatchingImages(const v1::ImageFilter& filter, ImageStore& images) {
  const std::string& wanted = filter.image().image();
  if (wanted.empty()) return images.List();
  ASSIGN_OR_RETURN(auto image, images.Find(wanted));
  std::vector<Image> found;
  if (image) found.push_back(std::move(*image));
  return found;
}

}  // namespace

Result<v1::ListImagesResponse> ListImages(const v1::ListImagesRequest& request, const CallContext&,
                                          ImageStore& images) {
  ASSIGN_OR_RETURN(const auto found, MatchingImages(request.filter(), images));
  v1::ListImagesResponse response;
  for (const Image& image : found) *response.add_images() = ToMessage(image);
  return response;
}

Status StreamImages(const v1::StreamImagesRequest& request, const CallContext&, ImageStore& images,
                    const StreamWriter<v1::StreamImagesResponse>& writer) {
  ASSIGN_OR_RETURN(const auto found, MatchingImages(request.filter(), images));
  StreamBatch batch(writer);
  for (const Image& image : found) {
    v1::Image& message = *batch.message().add_images();
    message = ToMessage(image);
    RETURN_IF_ERROR(batch.Added(message.ByteSizeLong()));
  }
  return batch.Send();
}

}  // namespace catamaran
