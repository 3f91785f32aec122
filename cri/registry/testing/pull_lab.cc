#include "cri/registry/testing/pull_lab.h"

#include <random>

#include "cri/images/hasher.h"
#include "cri/images/reference.h"
#include "cri/images/testing/crash_cycle.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {

PullLab::PullLab() {
  store_ = ImageStore::Open(HostPath(scratch_ / "images")).value();
  options_.hosts_dir = HostPath(scratch_ / "hosts");
  options_.patience.retry.first_pause = std::chrono::milliseconds(10);
  options_.patience.retry.longest_pause = std::chrono::seconds(2);
  MakePuller();
}

void PullLab::MakePuller() {
  puller_.reset();
  puller_ = std::make_unique<ImagePuller>(*store_, options_);
}

std::unique_ptr<LocalRegistry> PullLab::StartRegistry(const std::string& name,
                                                      const std::string& http,
                                                      const std::string& auth,
                                                      const std::string& more) {
  auto registry = LocalRegistry::Start({scratch_ / name, http, auth, more});
  EXPECT_TRUE(registry) << registry.error().message;
  return registry ? std::make_unique<LocalRegistry>(std::move(*registry)) : nullptr;
}

std::string PullLab::AddImage(const LocalRegistry& registry, const std::string& repository,
                              const std::string& tag, const TestImage& image) {
  const auto folder = scratch_ / "layout";
  EXPECT_TRUE(RemoveTree(folder));
  WriteFolder(folder, OciLayoutFiles({image}));
  auto digest = registry.Add(repository, tag, folder);
  EXPECT_TRUE(digest) << digest.error().message;
  return digest ? *digest : "";
}

std::string PullLab::Layer(const std::string& file, size_t size, uint32_t seed) {
  std::minstd_rand random(seed);
  std::string content(size, '\0');
  for (char& c : content) c = static_cast<char>(random() >> 8);
  return TarBuilder().File(file, content).Build();
}

std::string PullLab::BlobDigest(const std::string& layer) { return Sha256Of(Gzip(layer)); }

Result<Image> PullLab::Pull(const std::string& reference, const std::optional<AuthFields>& auth,
                            const ImageStore::LoadOptions& options) {
  return puller_->Pull(reference, auth, options);
}

void PullLab::WriteHosts(const std::string& registry, const std::string& toml) {
  const auto folder = scratch_ / "hosts" / registry;
  ASSERT_TRUE(MakeDirectories(folder));
  WriteTestFile(folder / "hosts.toml", toml);
}

std::filesystem::path PullLab::BlobFile(const std::string& layer) const {
  return scratch_ / "images/blobs" / (DigestHex(Sha256Of(layer)) + ".erofs");
}

void PullLab::ExpectWhole(const Image& image, const TestImage& expected) {
  const auto folder = scratch_ / "expected-layout";
  ASSERT_TRUE(RemoveTree(folder));
  WriteFolder(folder, OciLayoutFiles({expected}));
  const auto root = scratch_ / "expected-images";
  ASSERT_TRUE(RemoveTree(root));
  auto other = ImageStore::Open(HostPath(root)).value();
  const auto loaded = other->Load(HostPath(folder), {});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(image.id, (*loaded)[0].id);
  EXPECT_EQ(image.diff_ids, (*loaded)[0].diff_ids);
  EXPECT_EQ(image.size_bytes, (*loaded)[0].size_bytes);
  for (const auto& layer : expected.layers) {
    const auto name = BlobFile(layer).filename();
    EXPECT_TRUE(ReadFile(BlobFile(layer)).value() == ReadFile(root / "blobs" / name).value())
        << name;
  }
}

void PullLab::ExpectNothingLeft() {
  puller_.reset();  // waits for pulls that nobody waits for any more
  ExpectBlobsOfImages(*store_, scratch_ / "images", scratch_ / "images");
  MakePuller();
}

}  // namespace catamaran
