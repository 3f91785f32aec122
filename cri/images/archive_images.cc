#include "cri/images/archive_images.h"

#include <algorithm>
#include <map>

#include "cri/images/artifact.h"
#include "cri/images/hasher.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

constexpr int kMaximumIndexDepth = 4;
constexpr size_t kMaximumManifests = 4096;

std::string BlobName(const std::string& digest) {
  return "blobs/" + digest.substr(0, digest.find(':')) + "/" + DigestHex(digest);
}

void AddOnce(std::vector<std::string>& list, const std::string& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

class ArchiveLayerSource : public LayerSource {
 public:
  explicit ArchiveLayerSource(ArchivePart part) : part_(std::move(part)) {}
  Result<std::unique_ptr<ByteSource>> Open(Deadline deadline,
                                           std::function<bool()> cancelled) override {
    return std::make_unique<FilePartSource>(part_.file->get(), part_.offset, part_.size, deadline,
                                            std::move(cancelled));
  }

 private:
  const ArchivePart part_;
};

IncomingLayer LayerOf(const std::string& diff_id, const std::string& digest, ArchivePart part) {
  const uint64_t size = part.size;
  return {.diff_id = diff_id,
          .digest = digest,
          .size_bytes = size,
          .source = std::make_shared<ArchiveLayerSource>(std::move(part))};
}

class OciLayout {
 public:
  explicit OciLayout(const ImageArchive& archive) : archive_(archive) {}

  Result<std::vector<IncomingImage>> Read(const std::string& index_text) {
    ASSIGN_OR_RETURN(const auto top, ParseManifest(index_text, "index.json"));
    if (top.manifest) return Fail(ErrorCode::kInvalidArgument, "index.json: is no index");
    std::string offered;
    for (const Descriptor& descriptor : top.index) {
      if (descriptor.IsAttestation()) continue;
      if (descriptor.platform && !PlatformFits(*descriptor.platform, HostPlatform())) {
        offered += " " + descriptor.platform->ToString();
        continue;
      }
      RETURN_IF_ERROR(ReadTop(descriptor));
    }
    if (images_.empty())
      return Fail(ErrorCode::kInvalidArgument, "the archive has no image for {}{}{}",
                  HostPlatform().ToString(), offered.empty() ? "" : ", only for", offered);
    std::vector<IncomingImage> images;
    for (auto& [id, image] : images_) images.push_back(std::move(image));
    return images;
  }

 private:
  Status ReadTop(const Descriptor& descriptor) {
    ASSIGN_OR_RETURN(const Manifest manifest, Resolve(descriptor, 0));
    ASSIGN_OR_RETURN(auto image, ReadImage(manifest));
    RETURN_IF_ERROR(Name(descriptor, image));
    const auto [known, added] = images_.try_emplace(image.id, std::move(image));
    if (added) return {};
    for (const auto& tag : image.repo_tags) AddOnce(known->second.repo_tags, tag);
    for (const auto& digest : image.repo_digests) AddOnce(known->second.repo_digests, digest);
    return {};
  }

  // A blob whose digest and size are as the descriptor says.
  Result<std::string> ReadBlob(const Descriptor& descriptor, size_t limit) {
    ASSIGN_OR_RETURN(auto content, archive_.Read(BlobName(descriptor.digest), limit));
    if (content.size() != descriptor.size)
      return Fail(ErrorCode::kDataLoss, "{} has {} bytes, its descriptor says {}",
                  descriptor.digest, content.size(), descriptor.size);
    RETURN_IF_ERROR(VerifyDigest(content, descriptor.digest, "a blob of the archive"));
    return content;
  }

  // The manifest for this machine below a descriptor of an index or a manifest.
  Result<Manifest> Resolve(const Descriptor& descriptor, int depth) {
    if (depth > kMaximumIndexDepth || ++manifests_ > kMaximumManifests)
      return Fail(ErrorCode::kInvalidArgument, "{}: indexes are nested too deeply",
                  descriptor.digest);
    ASSIGN_OR_RETURN(const auto text, ReadBlob(descriptor, kMaximumManifestBytes));
    ASSIGN_OR_RETURN(auto parsed, ParseManifest(text, descriptor.digest));
    if (parsed.manifest) return std::move(*parsed.manifest);
    std::string offered;
    for (const Descriptor& entry : parsed.index) {
      if (entry.IsAttestation()) continue;
      if (!entry.platform || PlatformFits(*entry.platform, HostPlatform()))
        return Resolve(entry, depth + 1);
      offered += " " + entry.platform->ToString();
    }
    return Fail(ErrorCode::kInvalidArgument, "index {} has no image for {}{}{}", descriptor.digest,
                HostPlatform().ToString(), offered.empty() ? "" : ", only for", offered);
  }

  Result<ArchivePart> FindLayer(const Descriptor& layer) {
    ASSIGN_OR_RETURN(auto part, archive_.Find(BlobName(layer.digest)));
    if (!part) return Fail(ErrorCode::kInvalidArgument, "the archive lacks layer {}", layer.digest);
    if (part->size != layer.size)
      return Fail(ErrorCode::kDataLoss, "layer {} has {} bytes, its descriptor says {}",
                  layer.digest, part->size, layer.size);
    return std::move(*part);
  }

  Result<IncomingImage> ReadImage(const Manifest& manifest) {
    if (IsArtifact(manifest))
      return DescribeArtifact(
          manifest, [this](const Descriptor& layer) -> Result<std::shared_ptr<LayerSource>> {
            ASSIGN_OR_RETURN(auto part, FindLayer(layer));
            return std::make_shared<ArchiveLayerSource>(std::move(part));
          });
    ASSIGN_OR_RETURN(auto config, ReadBlob(manifest.config, kMaximumConfigBytes));
    ASSIGN_OR_RETURN(IncomingImage image,
                     DescribeIncomingImage(std::move(config), manifest.layers.size()));
    for (size_t i = 0; i < manifest.layers.size(); ++i) {
      const Descriptor& layer = manifest.layers[i];
      auto part = FindLayer(layer);
      if (!part) return tl::unexpected(std::move(part).error().While("image " + image.id));
      image.layers.push_back(LayerOf(image.config.diff_ids[i], layer.digest, std::move(*part)));
    }
    return image;
  }

  // org.opencontainers.image.ref.name may be a bare tag, which says nothing without a repository.
  static Status Name(const Descriptor& descriptor, IncomingImage& image) {
    std::string name = descriptor.Annotation("io.containerd.image.name");
    if (name.empty()) {
      name = descriptor.Annotation("org.opencontainers.image.ref.name");
      if (name.find_first_of(":/@") == std::string::npos) return {};
    }
    ASSIGN_OR_RETURN(const auto reference, ParseImageReference(name));
    if (reference.digest.empty()) image.repo_tags.push_back(reference.ToString());
    image.repo_digests.push_back(reference.repository + "@" + descriptor.digest);
    return {};
  }

  const ImageArchive& archive_;
  size_t manifests_ = 0;
  std::map<std::string, IncomingImage> images_;  // by id
};

Result<IncomingImage> ReadDockerImage(const ImageArchive& archive, const DockerImage& described) {
  auto config = archive.Read(described.config, kMaximumConfigBytes);
  if (!config && config.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kInvalidArgument, "manifest.json: the archive lacks config {}",
                described.config.substr(0, 200));
  if (!config) return tl::unexpected(std::move(config).error());
  ASSIGN_OR_RETURN(IncomingImage image,
                   DescribeIncomingImage(std::move(*config), described.layers.size()));
  for (size_t i = 0; i < described.layers.size(); ++i) {
    ASSIGN_OR_RETURN(auto part, archive.Find(described.layers[i]));
    if (!part)
      return Fail(ErrorCode::kInvalidArgument, "image {}: the archive lacks layer {}", image.id,
                  described.layers[i].substr(0, 200));
    image.layers.push_back(LayerOf(image.config.diff_ids[i], "", std::move(*part)));
  }
  for (const auto& tag : described.repo_tags) {
    ASSIGN_OR_RETURN(const auto reference, ParseImageReference(tag));
    if (reference.digest.empty()) AddOnce(image.repo_tags, reference.ToString());
  }
  return image;
}

Status Rename(const std::string& name, std::vector<IncomingImage>& images) {
  ASSIGN_OR_RETURN(const auto reference, ParseImageReference(name));
  if (images.size() != 1)
    return Fail(ErrorCode::kInvalidArgument,
                "the archive holds {} images: they cannot all be named {}", images.size(), name);
  IncomingImage& image = images[0];
  std::vector<std::string> digests;
  for (const auto& digest : image.repo_digests)
    AddOnce(digests, reference.repository + digest.substr(digest.find('@')));
  if (!reference.digest.empty() &&
      std::find(digests.begin(), digests.end(), reference.ToString()) == digests.end())
    return Fail(ErrorCode::kInvalidArgument, "the archive's image does not have the digest of {}",
                name);
  image.repo_digests = std::move(digests);
  image.repo_tags.clear();
  if (reference.digest.empty()) image.repo_tags.push_back(reference.ToString());
  return {};
}

Result<std::vector<IncomingImage>> ReadDockerArchive(const ImageArchive& archive,
                                                     const std::string& manifest) {
  ASSIGN_OR_RETURN(const auto described, ParseDockerManifest(manifest));
  std::vector<IncomingImage> images;
  for (const DockerImage& entry : described) {
    ASSIGN_OR_RETURN(auto image, ReadDockerImage(archive, entry));
    const auto known = std::find_if(images.begin(), images.end(),
                                    [&](const auto& other) { return other.id == image.id; });
    if (known == images.end()) {
      images.push_back(std::move(image));
    } else {
      for (const auto& tag : image.repo_tags) AddOnce(known->repo_tags, tag);
    }
  }
  return images;
}

// The content of an optional file.
Result<std::optional<std::string>> ReadIfPresent(const ImageArchive& archive,
                                                 const std::string& name) {
  auto text = archive.Read(name, kMaximumArchiveIndexBytes);
  if (text) return std::optional(std::move(*text));
  if (text.error().code == ErrorCode::kNotFound) return std::nullopt;
  return tl::unexpected(std::move(text).error());
}

}  // namespace

Result<std::vector<IncomingImage>> ReadArchivedImages(const ImageArchive& archive,
                                                      const std::string& reference) {
  std::vector<IncomingImage> images;
  ASSIGN_OR_RETURN(const auto layout, ReadIfPresent(archive, "oci-layout"));
  ASSIGN_OR_RETURN(const auto index, ReadIfPresent(archive, "index.json"));
  if (layout && index) {
    RETURN_IF_ERROR(CheckOciLayout(*layout));
    ASSIGN_OR_RETURN(images, OciLayout(archive).Read(*index));
  } else {
    ASSIGN_OR_RETURN(const auto manifest, ReadIfPresent(archive, "manifest.json"));
    if (!manifest)
      return Fail(ErrorCode::kInvalidArgument,
                  "the archive has neither oci-layout and index.json nor manifest.json");
    ASSIGN_OR_RETURN(images, ReadDockerArchive(archive, *manifest));
  }
  if (!reference.empty()) RETURN_IF_ERROR(Rename(reference, images));
  return images;
}

}  // namespace catamaran
