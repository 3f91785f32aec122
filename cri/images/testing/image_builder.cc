#include "cri/images/testing/image_builder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "cri/images/hasher.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

std::string DescriptorJson(const std::string& type, const std::string& content,
                           const std::string& more = "") {
  return "{\"mediaType\":" + Quoted(type) + ",\"digest\":" + Quoted(Sha256Of(content)) +
         ",\"size\":" + std::to_string(content.size()) + more + "}";
}

std::string BlobName(const std::string& content) {
  return "blobs/sha256/" + DigestHex(Sha256Of(content));
}

std::string Compressed(const TestImage& image, const std::string& layer) {
  switch (image.compression) {
    case TestImage::Compression::kGzip:
      return Gzip(layer);
    case TestImage::Compression::kZstd:
      return Zstd(layer);
    case TestImage::Compression::kNone:
      break;
  }
  return layer;
}

}  // namespace

ScratchFolder::ScratchFolder(const std::string& name)
    : path_(std::filesystem::path(testing::TempDir()) /
            ("catamaran-" + name + "-" + std::to_string(getpid()))) {
  EXPECT_TRUE(RemoveTree(path_));
  EXPECT_TRUE(MakeDirectories(path_));
}

ScratchFolder::~ScratchFolder() { EXPECT_TRUE(RemoveTree(path_)); }

void WriteTestFile(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::string ConfigJson(const TestImage& image) {
  std::string diff_ids;
  for (const auto& layer : image.layers)
    diff_ids += (diff_ids.empty() ? "" : ",") + Quoted(Sha256Of(layer));
  const std::string architecture =
      image.architecture.empty() ? HostPlatform().architecture : image.architecture;
  return "{\"architecture\":" + Quoted(architecture) +
         ",\"os\":\"linux\",\"config\":" + image.process +
         ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" + diff_ids + "]}}";
}

ArchiveFiles OciLayoutFiles(const std::vector<TestImage>& images) {
  ArchiveFiles files = {{"oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}"}};
  std::string index;
  for (const auto& image : images) {
    std::string layers;
    for (const auto& layer : image.layers) {
      const std::string blob = Compressed(image, layer);
      files.emplace_back(BlobName(blob), blob);
      layers += (layers.empty() ? "" : ",") +
                DescriptorJson("application/vnd.oci.image.layer.v1.tar+gzip", blob);
    }
    const std::string config = ConfigJson(image);
    files.emplace_back(BlobName(config), config);
    const std::string manifest =
        "{\"schemaVersion\":2,\"config\":" +
        DescriptorJson("application/vnd.oci.image.config.v1+json", config) + ",\"layers\":[" +
        layers + "]}";
    files.emplace_back(BlobName(manifest), manifest);
    const std::string name =
        image.name.empty()
            ? ""
            : ",\"annotations\":{\"io.containerd.image.name\":" + Quoted(image.name) + "}";
    index += (index.empty() ? "" : ",") +
             DescriptorJson("application/vnd.oci.image.manifest.v1+json", manifest, name);
  }
  files.emplace_back("index.json", "{\"schemaVersion\":2,\"manifests\":[" + index + "]}");
  return files;
}

ArchiveFiles DockerArchiveFiles(const std::vector<TestImage>& images) {
  ArchiveFiles files;
  std::string manifest;
  for (const auto& image : images) {
    const std::string config = ConfigJson(image);
    const std::string config_name = DigestHex(Sha256Of(config)) + ".json";
    files.emplace_back(config_name, config);
    std::string layers;
    for (const auto& layer : image.layers) {
      const std::string name = DigestHex(Sha256Of(layer)) + "/layer.tar";
      files.emplace_back(name, Compressed(image, layer));
      layers += (layers.empty() ? "" : ",") + Quoted(name);
    }
    manifest += (manifest.empty() ? "" : ",") + std::string("{\"Config\":") + Quoted(config_name) +
                ",\"RepoTags\":" + (image.name.empty() ? "null" : "[" + Quoted(image.name) + "]") +
                ",\"Layers\":[" + layers + "]}";
  }
  files.emplace_back("manifest.json", "[" + manifest + "]");
  return files;
}

void WriteFolder(const std::filesystem::path& folder, const ArchiveFiles& files) {
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(MakeDirectories((folder / name).parent_path()));
    WriteTestFile(folder / name, content);
  }
}

std::string TarOf(const ArchiveFiles& files) {
  TarBuilder tar;
  for (const auto& [name, content] : files) tar.File(name, content);
  return tar.Build();
}

}  // namespace catamaran
