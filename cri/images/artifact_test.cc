#include "cri/images/artifact.h"

#include <gtest/gtest.h>

#include <cstring>

#include "cri/images/file_as_tar.h"
#include "cri/images/hasher.h"

namespace catamaran {
namespace {

// The bytes of a layer, in memory.
class Bytes : public LayerSource {
 public:
  explicit Bytes(std::string content) : content_(std::move(content)) {}
  Result<std::unique_ptr<ByteSource>> Open(Deadline, std::function<bool()>) override {
    class Reader : public ByteSource {
     public:
      explicit Reader(std::string content) : content_(std::move(content)) {}
      Result<size_t> Read(char* buffer, size_t size) override {
        const size_t count = std::min(size, content_.size() - at_);
        memcpy(buffer, content_.data() + at_, count);
        at_ += count;
        return count;
      }

     private:
      std::string content_;
      size_t at_ = 0;
    };
    return std::make_unique<Reader>(content_);
  }

 private:
  std::string content_;
};

Descriptor LayerOf(const std::string& content, const std::string& title) {
  Descriptor layer;
  layer.digest = Sha256Of(content);
  layer.size = content.size();
  if (!title.empty()) layer.annotations = {{"org.opencontainers.image.title", title}};
  return layer;
}

Manifest ArtifactOf(const std::vector<std::string>& titles) {
  Manifest manifest;
  manifest.config.media_type = "application/vnd.oci.empty.v1+json";
  for (const auto& title : titles) manifest.layers.push_back(LayerOf("content", title));
  return manifest;
}

Result<IncomingImage> Describe(const Manifest& manifest) {
  return DescribeArtifact(manifest, [](const Descriptor&) -> Result<std::shared_ptr<LayerSource>> {
    return std::make_shared<Bytes>("content");
  });
}

Result<std::string> ReadTar(const std::string& name, const Descriptor& layer,
                            const std::string& content) {
  const auto source = FileAsTar(name, layer, std::make_shared<Bytes>(content));
  auto bytes = source->Open(Deadline::Never(), {});
  std::string tar;
  char buffer[100];
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, (*bytes)->Read(buffer, sizeof buffer));
    if (count == 0) return tar;
    tar.append(buffer, count);
  }
}

TEST(Artifact, IsWhatHasAnotherConfigThanAnImage) {
  EXPECT_TRUE(IsArtifact(ArtifactOf({"a"})));
  Manifest image;
  for (const char* type : {"", "application/vnd.oci.image.config.v1+json",
                           "application/vnd.docker.container.image.v1+json"}) {
    image.config.media_type = type;
    EXPECT_FALSE(IsArtifact(image)) << type;
  }
}

TEST(Artifact, HasAnIdOfItsFilesAndTheirNames) {
  const auto one = Describe(ArtifactOf({"a", "folder/b"}));
  ASSERT_TRUE(one) << one.error().message;
  EXPECT_EQ(one->layers.size(), 2u);
  EXPECT_EQ(one->config.diff_ids.size(), 2u);
  EXPECT_EQ(one->config.config.artifact_type, "application/vnd.oci.empty.v1+json");
  EXPECT_EQ(one->id, Sha256Of(one->config_text));
  EXPECT_EQ(Describe(ArtifactOf({"a", "folder/b"}))->id, one->id);
  EXPECT_NE(Describe(ArtifactOf({"a", "folder/c"}))->id, one->id);
  EXPECT_TRUE(Describe(ArtifactOf({""}))) << "a file without a name has its digest's";
}

TEST(Artifact, NamesThatLeadOutAreRefused) {
  for (const char* title : {"/etc/passwd", "../x", "a/../../x", "a/./b", "a\nb", "a/", "."}) {
    const auto refused = Describe(ArtifactOf({title}));
    ASSERT_FALSE(refused) << title;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(Describe(ArtifactOf({"a", "a"}))) << "which of them is it?";
  EXPECT_FALSE(Describe(ArtifactOf({}))) << "there is no file";
}

TEST(FileAsTarStream, IsWholeBlocksWithTheFileInThem) {
  const std::string content(1000, 'x');
  const auto tar = ReadTar("folder/file", LayerOf(content, ""), content);
  ASSERT_TRUE(tar) << tar.error().message;
  EXPECT_EQ(tar->size(), 512u * (1 + 1 + 1 + 2 + 2)) << "pax, its records, header, content, end";
  EXPECT_NE(tar->find("path=folder/file\n"), std::string::npos);
  EXPECT_NE(tar->find(content), std::string::npos);
}

TEST(FileAsTarStream, FailsWhereTheBytesAreOthers) {
  const Descriptor layer = LayerOf("content", "");
  for (const char* other : {"contenT", "conten", "content and more", ""}) {
    const auto tar = ReadTar("file", layer, other);
    ASSERT_FALSE(tar) << other;
    EXPECT_EQ(tar.error().code, ErrorCode::kDataLoss);
  }
}

}  // namespace
}  // namespace catamaran
