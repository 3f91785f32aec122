#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  std::string ToString() const;
};
// "amd64" for "x86_64", "arm64" for "aarch64", ...: the names that Go and so OCI use.
std::string NormalizeArchitecture(std::string_view architecture);
// What this machine runs.
Platform HostPlatform();
// Whether an image for `image` runs on `host`; empty fields of `image` fit everything.
bool PlatformFits(const Platform& image, const Platform& host);

// A reference to content (image-spec, descriptor.md).
struct Descriptor {
  std::string media_type;
  std::string digest;         // valid by IsDigest
  std::string artifact_type;  // of what an index of referrers names
  uint64_t size = 0;
  std::optional<Platform> platform;
  std::vector<std::pair<std::string, std::string>> annotations;

  std::string Annotation(std::string_view key) const;  // empty where absent
  bool IsAttestation() const;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;
};

// Either an index (of manifests for several platforms) or a manifest of one image.
struct ManifestOrIndex {
  std::optional<Manifest> manifest;
  std::vector<Descriptor> index;
};

constexpr size_t kMaximumLayers = 500;  // overlayfs stacks that many
constexpr size_t kMaximumManifestBytes = 4 << 20;
constexpr size_t kMaximumConfigBytes = 8 << 20;
constexpr size_t kMaximumArchiveIndexBytes = 20 << 20;

// Whether a config of this media type is an image's; if not it is an artifact's.
bool IsImageConfigType(const std::string& media_type);

// An image, or an artifact. kInvalidArgument naming `what` and the field.
Result<ManifestOrIndex> ParseManifest(std::string_view text, std::string_view what);

// One entry of a docker archive's manifest.json.
struct DockerImage {
  std::string config;  // paths inside the archive
  std::vector<std::string> layers;
  std::vector<std::string> repo_tags;
};
Result<std::vector<DockerImage>> ParseDockerManifest(std::string_view text);

// Checks an OCI layout's marker file.
Status CheckOciLayout(std::string_view text);

}  // namespace catamaran
