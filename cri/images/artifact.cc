#include "cri/images/artifact.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "cri/base/text.h"
#include "cri/images/file_as_tar.h"
#include "cri/images/hasher.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

constexpr size_t kLongestName = 1024;
constexpr const char* kTitle = "org.opencontainers.image.title";

Result<std::string> NameOf(const Descriptor& layer) {
  const std::string title = layer.Annotation(kTitle);
  if (title.empty()) return std::string(DigestHex(layer.digest));
  const std::filesystem::path path(title);
  bool inside = path.is_relative() && title.size() <= kLongestName && !HasControlCharacters(title);
  for (const auto& part : path)
    inside = inside && part != ".." && part != "." && !part.empty() && part.string().size() <= 255;
  if (inside) return title;
  return Fail(ErrorCode::kInvalidArgument,
              "artifact: the {} \"{}\" of layer {} is wrong: must be a relative path without ..",
              kTitle, title.substr(0, 200), layer.digest);
}

// What names a file in the store: its content and its name, as the blob holds both.
std::string FileId(const std::string& name, const Descriptor& layer) {
  return Sha256Of("artifact file\n" + layer.digest + "\n" + name);
}

}  // namespace

bool IsArtifact(const Manifest& manifest) { return !IsImageConfigType(manifest.config.media_type); }

Result<IncomingImage> DescribeArtifact(
    const Manifest& manifest,
    const std::function<Result<std::shared_ptr<LayerSource>>(const Descriptor&)>& layer_source) {
  IncomingImage image;
  std::set<std::string> names;
  auto diff_ids = nlohmann::json::array();
  for (const Descriptor& layer : manifest.layers) {
    ASSIGN_OR_RETURN(const std::string name, NameOf(layer));
    if (!names.insert(name).second)
      return Fail(ErrorCode::kInvalidArgument, "artifact: two layers are named \"{}\"", name);
    IncomingLayer file;
    file.diff_id = FileId(name, layer);
    file.id_is_derived = true;
    file.size_bytes = layer.size;
    ASSIGN_OR_RETURN(auto bytes, layer_source(layer));
    file.source = FileAsTar(name, layer, std::move(bytes));
    diff_ids.push_back(file.diff_id);
    image.layers.push_back(std::move(file));
  }
  if (image.layers.empty())
    return Fail(ErrorCode::kInvalidArgument, "artifact: it has no layers, so there is no file");
  const nlohmann::json config = {
      {"artifactType", manifest.config.media_type},
      {"architecture", ""},
      {"os", ""},
      {"config", nlohmann::json::object()},
      {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}},
  };
  image.config_text = config.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  image.id = Sha256Of(image.config_text);
  ASSIGN_OR_RETURN(image.config, ParseImageConfig(image.config_text));
  return image;
}

}  // namespace catamaran
