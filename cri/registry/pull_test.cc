// Pulls from Debian's docker-registry: what comes out is what loading the same image gives.
#include <atomic>
#include <condition_variable>
#include <set>
#include <thread>

#include "cri/images/manifest.h"
#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class PullTest : public PullLab {
 protected:
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
};

TEST_F(PullTest, ATagGivesTheImageItsLayersAndItsNames) {
  const TestImage image{.layers = {Layer("a", 300'000, 1), Layer("b", 10, 2), Layer("c", 0)}};
  const std::string digest = AddImage(*registry_, "team/app", "1", image);
  const auto pulled = Pull(registry_->address() + "/team/app:1");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image);
  EXPECT_EQ(pulled->repo_tags, std::vector<std::string>{registry_->address() + "/team/app:1"});
  EXPECT_EQ(pulled->repo_digests,
            std::vector<std::string>{registry_->address() + "/team/app@" + digest});
  EXPECT_TRUE(store_->Find(registry_->address() + "/team/app:1").value());
  ExpectNothingLeft();
}

TEST_F(PullTest, ZstdAndPlainLayersArePulledToo) {
  for (const auto compression : {TestImage::Compression::kZstd, TestImage::Compression::kNone}) {
    const TestImage image{.layers = {Layer("a", 100'000, static_cast<uint32_t>(compression) + 7)},
                          .compression = compression};
    AddImage(*registry_, "app", "1", image);
    const auto pulled = Pull(registry_->address() + "/app:1");
    ASSERT_TRUE(pulled) << pulled.error().message;
    ExpectWhole(*pulled, image);
  }
}

TEST_F(PullTest, ADigestGivesTheImageUnderThatNameOnly) {
  const TestImage image{.layers = {Layer("a", 1000)}};
  const std::string digest = AddImage(*registry_, "app", "1", image);
  const std::string reference = registry_->address() + "/app@" + digest;
  const auto pulled = Pull(reference);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image);
  EXPECT_TRUE(pulled->repo_tags.empty());
  EXPECT_EQ(pulled->repo_digests, std::vector<std::string>{reference});
}

TEST_F(PullTest, AnIndexGivesTheImageForThisMachine) {
  const TestImage foreign{.layers = {Layer("foreign", 10)}, .architecture = "s390x"};
  const TestImage own{.layers = {Layer("own", 10)}};
  const auto digest_of = [&](const TestImage& image) {
    return AddImage(*registry_, "app", "x", image);
  };
  const auto entry = [&](const TestImage& image, const std::string& architecture) {
    const std::string digest = digest_of(image);
    const auto text = ReadFile(scratch_ / "layout/blobs/sha256" / digest.substr(7)).value();
    return fmt::format(
        R"({{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},)"
        R"("platform":{{"os":"linux","architecture":"{}"}}}})",
        digest, text.size(), architecture);
  };
  const std::string machine = HostPlatform().architecture;
  const std::string head =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)";
  const std::string both = head + entry(foreign, "s390x") + "," + entry(own, machine) + "]}";
  const std::string digest = registry_->AddManifest("app", "both", both).value();
  const auto pulled = Pull(registry_->address() + "/app:both");
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, own);
  EXPECT_EQ(pulled->repo_digests,
            std::vector<std::string>{registry_->address() + "/app@" + digest});

  ASSERT_TRUE(registry_->AddManifest("app", "foreign", head + entry(foreign, "s390x") + "]}"));
  const auto refused = Pull(registry_->address() + "/app:foreign");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kNotFound);
  EXPECT_NE(refused.error().message.find("only for linux/s390x"), std::string::npos)
      << refused.error().message;
}

TEST_F(PullTest, WhatIsNotThereIsNotFoundAndNamed) {
  const auto pulled = Pull(registry_->address() + "/absent:7");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound) << pulled.error().message;
  EXPECT_NE(pulled.error().message.find("MANIFEST_UNKNOWN"), std::string::npos)
      << pulled.error().message;
  EXPECT_EQ(Pull("Not/A/Name").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(PullTest, ARegistryThatIsNotThereIsUnavailable) {
  const std::string address = TestServer([](const auto&) { return AnswerWith(500); }).address();
  const auto pulled = Pull(address + "/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kUnavailable) << pulled.error().message;
}

// Everything goes through a server that counts.
class CountedPullTest : public PullTest {
 protected:
  TestServer proxy_{[this](const TestServer::Request& request) {
    if (request.Asks("/blobs/")) AtBlob(request);
    return Forward(request, registry_->port());
  }};
  std::string name_ = proxy_.address() + "/app:1";

  // Holds these blobs back until so many are asked for at once.
  void AtBlob(const TestServer::Request& request) {
    std::unique_lock lock(mutex_);
    const std::string digest = request.target.substr(request.target.rfind('/') + 1);
    if (!held_.contains(digest)) return;
    most_ = std::max(most_, ++now_);
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(30), [this] { return most_ >= wanted_; });
    --now_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> held_;
  int wanted_ = 0, now_ = 0, most_ = 0;
};

TEST_F(CountedPullTest, LayersArePulledFourAtATime) {
  TestImage image;
  for (uint32_t i = 0; i < 5; ++i) {
    image.layers.push_back(Layer("file", 1000, i));
    held_.insert(BlobDigest(image.layers.back()));
  }
  wanted_ = 4;
  AddImage(*registry_, "app", "1", image);
  const auto pulled = Pull(name_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(most_, 4);
}

TEST_F(CountedPullTest, AnImageThatIsHereCostsNoBlobButItsConfig) {
  const TestImage image{.layers = {Layer("a", 1000)}};
  AddImage(*registry_, "app", "1", image);
  ASSERT_TRUE(Pull(name_));
  EXPECT_EQ(proxy_.Count(BlobDigest(image.layers[0])), 1);
  ASSERT_TRUE(Pull(name_));
  EXPECT_EQ(proxy_.Count(BlobDigest(image.layers[0])), 1);
}

TEST_F(CountedPullTest, ADamagedBlobIsNoticedAndFetchedAgain) {
  const TestImage image{.layers = {Layer("a", 100'000, 1), Layer("b", 1000, 2)}};
  AddImage(*registry_, "app", "1", image);
  ASSERT_TRUE(Pull(name_));
  const auto file = BlobFile(image.layers[0]);
  std::string blob = ReadFile(file).value();
  blob[60'000] = static_cast<char>(blob[60'000] ^ 1);
  WriteTestFile(file, blob);
  const auto pulled = Pull(name_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image);
  EXPECT_EQ(proxy_.Count(BlobDigest(image.layers[0])), 2);
  EXPECT_EQ(proxy_.Count(BlobDigest(image.layers[1])), 1);
}

TEST_F(CountedPullTest, CallsForOneImageAreOnePull) {
  const TestImage image{.layers = {Layer("a", 1'000'000, 1), Layer("b", 1'000'000, 2)}};
  AddImage(*registry_, "app", "1", image);
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&] { good += Pull(name_).has_value() ? 1 : 0; });
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(good, 8);
  for (const auto& layer : image.layers) EXPECT_EQ(proxy_.Count(BlobDigest(layer)), 1);
}

TEST_F(CountedPullTest, ALayerOfTwoImagesIsPulledOnce) {
  const std::string shared = Layer("shared", 1'000'000);
  AddImage(*registry_, "app", "1", {.layers = {shared, Layer("one", 10, 1)}});
  AddImage(*registry_, "other", "1", {.layers = {shared, Layer("two", 10, 2)}});
  std::thread other([&] { EXPECT_TRUE(Pull(proxy_.address() + "/other:1")); });
  EXPECT_TRUE(Pull(name_));
  other.join();
  EXPECT_EQ(proxy_.Count(BlobDigest(shared)), 1);
}

TEST_F(CountedPullTest, ProgressReachesEveryLayersEnd) {
  const TestImage image{.layers = {Layer("a", 3'000'000, 1), Layer("b", 1000, 2)}};
  AddImage(*registry_, "app", "1", image);
  std::map<std::string, ImageStore::Progress> last;
  ImageStore::LoadOptions options;
  options.progress = [&](const ImageStore::Progress& progress) { last[progress.layer] = progress; };
  ASSERT_TRUE(Pull(name_, std::nullopt, options));
  ASSERT_EQ(last.size(), 2u);
  for (const auto& [layer, progress] : last) {
    EXPECT_TRUE(progress.finished) << layer;
    EXPECT_EQ(progress.done_bytes, progress.total_bytes) << layer;
  }
}

}  // namespace
}  // namespace catamaran
