#include "cri/service/image_messages.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cri/base/json.h"

namespace catamaran {

::runtime::v1::Image ToMessage(const Image& image) {
  ::runtime::v1::Image message;
  message.set_id(image.id);
  for (const std::string& tag : image.repo_tags) message.add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) message.add_repo_digests(digest);
  message.set_size(std::max<uint64_t>(image.size_bytes, 1));  // clients refuse 0
  message.set_pinned(image.pinned);
  const std::string user = image.config.user.substr(0, image.config.user.find(':'));
  int64_t uid = 0;
  auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), uid);
  if (!user.empty() && error == std::errc() && end == user.data() + user.size()) {
    message.mutable_uid()->set_value(uid);
  } else {
    message.set_username(user);
  }
  return message;
}

std::string ImageDetails(const Image& image, const std::string& config_text) {
  nlohmann::json details = nlohmann::json::object();
  if (auto config = ParseJson(config_text, "image config")) details["imageSpec"] = *config;
  nlohmann::json layers = nlohmann::json::array();
  for (const ImageLayer& layer : image.layers)
    layers.push_back(
        {{"diffID", layer.diff_id}, {"bytes", layer.size_bytes}, {"images", layer.images}});
  details["disk"] = {
      {"bytes", image.size_bytes}, {"sharedBytes", image.shared_bytes()}, {"layers", layers}};
  nlohmann::json signatures = nlohmann::json::array();
  for (const VerifiedSignature& signature : image.signatures)
    signatures.push_back({{"repository", signature.repository}, {"key", signature.key}});
  details["verifiedSignatures"] = signatures;
  return details.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace catamaran
