#include "cri/images/manifest.h"

#include <sys/utsname.h>

#include "cri/base/json.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumIndexEntries = 4096;

Result<Platform> ParsePlatform(const JsonObject& object) {
  Platform platform;
  ASSIGN_OR_RETURN(platform.os, object.String("os"));
  ASSIGN_OR_RETURN(platform.architecture, object.String("architecture"));
  ASSIGN_OR_RETURN(platform.variant, object.String("variant"));
  return platform;
}

Result<Descriptor> ParseDescriptor(const nlohmann::json& value, const std::string& where) {
  ASSIGN_OR_RETURN(const auto object, JsonObject::From(value, where));
  Descriptor descriptor;
  ASSIGN_OR_RETURN(descriptor.media_type, object.String("mediaType"));
  ASSIGN_OR_RETURN(descriptor.digest, object.String("digest"));
  ASSIGN_OR_RETURN(descriptor.size, object.Size("size"));
  ASSIGN_OR_RETURN(descriptor.artifact_type, object.String("artifactType"));
  ASSIGN_OR_RETURN(descriptor.annotations, object.StringMap("annotations"));
  if (!IsDigest(descriptor.digest))
    return Fail(ErrorCode::kInvalidArgument,
                "{}: field \"digest\" is \"{}\", expected sha256: or sha512: and lower-case hex",
                where, descriptor.digest.substr(0, 200));
  if (object.Has("platform")) {
    ASSIGN_OR_RETURN(const auto platform, object.Object("platform"));
    ASSIGN_OR_RETURN(descriptor.platform, ParsePlatform(platform));
  }
  return descriptor;
}

Result<std::vector<Descriptor>> ParseDescriptors(const JsonObject& object, const char* field,
                                                 size_t maximum) {
  std::vector<Descriptor> descriptors;
  RETURN_IF_ERROR(
      object.ForEach(field, [&](const nlohmann::json& element, std::string where) -> Status {
        if (descriptors.size() == maximum)
          return Fail(ErrorCode::kInvalidArgument, "{}: more than {} entries", where, maximum);
        ASSIGN_OR_RETURN(auto descriptor, ParseDescriptor(element, where));
        descriptors.push_back(std::move(descriptor));
        return {};
      }));
  return descriptors;
}

}  // namespace

bool IsImageConfigType(const std::string& media_type) {
  return media_type.empty() || media_type == "application/vnd.oci.image.config.v1+json" ||
         media_type == "application/vnd.docker.container.image.v1+json";
}

std::string Platform::ToString() const {
  return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

std::string NormalizeArchitecture(std::string_view architecture) {
  if (architecture == "x86_64" || architecture == "x86-64") return "amd64";
  if (architecture == "aarch64") return "arm64";
  if (architecture == "armv7l" || architecture == "armv6l" || architecture == "armhf") return "arm";
  if (architecture == "i386" || architecture == "i686") return "386";
  return std::string(architecture);
}

Platform HostPlatform() {
  struct utsname name = {};
  uname(&name);
  return {"linux", NormalizeArchitecture(name.machine), ""};
}

bool PlatformFits(const Platform& image, const Platform& host) {
  if (!image.os.empty() && image.os != host.os) return false;
  if (!image.architecture.empty() && NormalizeArchitecture(image.architecture) != host.architecture)
    return false;
  // Variants above the base line would need the processor's features; the base always runs.
  return image.variant.empty() || image.variant == "v1" ||
         (host.architecture == "arm64" && image.variant == "v8") || host.architecture == "arm";
}

std::string Descriptor::Annotation(std::string_view key) const {
  for (const auto& [name, value] : annotations)
    if (name == key) return value;
  return "";
}

bool Descriptor::IsAttestation() const {
  return !Annotation("vnd.docker.reference.type").empty() ||
         (platform && platform->os == "unknown");
}

Result<ManifestOrIndex> ParseManifest(std::string_view text, std::string_view what) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, what));
  ASSIGN_OR_RETURN(const auto object, JsonObject::From(json, std::string(what)));
  ASSIGN_OR_RETURN(const uint64_t version, object.Size("schemaVersion"));
  if (version != 2)
    return Fail(ErrorCode::kInvalidArgument, "{}: field \"schemaVersion\" is {}, expected 2", what,
                version);
  if (object.Has("manifests") == object.Has("layers"))
    return Fail(ErrorCode::kInvalidArgument,
                "{}: expected either \"manifests\" (an index) or \"layers\" (an image)", what);
  ManifestOrIndex result;
  if (object.Has("manifests")) {
    ASSIGN_OR_RETURN(result.index, ParseDescriptors(object, "manifests", kMaximumIndexEntries));
    return result;
  }
  Manifest manifest;
  if (!json.contains("config"))
    return Fail(ErrorCode::kInvalidArgument, "{}: field \"config\" is missing", what);
  ASSIGN_OR_RETURN(manifest.config, ParseDescriptor(json["config"], std::string(what) + ".config"));
  ASSIGN_OR_RETURN(manifest.layers, ParseDescriptors(object, "layers", kMaximumLayers));
  result.manifest = std::move(manifest);
  return result;
}

Result<std::vector<DockerImage>> ParseDockerManifest(std::string_view text) {
  constexpr size_t kMaximumImages = 1000;
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, "manifest.json"));
  const nlohmann::json wrapped = {{"images", json}};
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(wrapped, "manifest.json"));
  std::vector<DockerImage> images;
  RETURN_IF_ERROR(
      root.ForEach("images", [&](const nlohmann::json& element, std::string where) -> Status {
        ASSIGN_OR_RETURN(const auto object, JsonObject::From(element, where));
        DockerImage image;
        ASSIGN_OR_RETURN(image.config, object.String("Config"));
        ASSIGN_OR_RETURN(image.layers, object.Strings("Layers"));
        ASSIGN_OR_RETURN(image.repo_tags, object.Strings("RepoTags"));
        if (image.config.empty())
          return Fail(ErrorCode::kInvalidArgument, "{}: field \"Config\" is missing", where);
        if (image.layers.size() > kMaximumLayers || images.size() == kMaximumImages)
          return Fail(ErrorCode::kInvalidArgument, "{}: more than {} layers or {} images", where,
                      kMaximumLayers, kMaximumImages);
        images.push_back(std::move(image));
        return {};
      }));
  if (images.empty()) return Fail(ErrorCode::kInvalidArgument, "manifest.json: names no image");
  return images;
}

Status CheckOciLayout(std::string_view text) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, "oci-layout"));
  ASSIGN_OR_RETURN(const auto object, JsonObject::From(json, "oci-layout"));
  ASSIGN_OR_RETURN(const auto version, object.String("imageLayoutVersion"));
  if (version.compare(0, 2, "1.") != 0)
    return Fail(ErrorCode::kInvalidArgument,
                "oci-layout: field \"imageLayoutVersion\" is \"{}\", expected 1.x",
                version.substr(0, 50));
  return {};
}

}  // namespace catamaran
