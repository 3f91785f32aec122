#include "cri/service/image_messages.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

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

std::string ImageDetails(const Image& image) {
  nlohmann::json labels = nlohmann::json::object();
  for (const auto& [key, value] : image.config.labels) labels[key] = value;
  const nlohmann::json details = {
      {"imageSpec",
       {{"architecture", image.config.architecture},
        {"os", image.config.os},
        {"config",
         {{"Entrypoint", image.config.entrypoint},
          {"Cmd", image.config.command},
          {"WorkingDir", image.config.working_directory},
          {"User", image.config.user},
          {"StopSignal", image.config.stop_signal},
          {"Volumes", image.config.volumes},
          {"Labels", labels}}},
        {"rootfs", {{"type", "layers"}, {"diff_ids", image.diff_ids}}}}}};
  return details.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace catamaran
