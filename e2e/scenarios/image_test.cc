// Images: what is loaded is listed, found by every name, and gone once removed.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class ImageTest : public WorldTest {
 protected:
  void SetUp() override {
    auto loaded = world().LoadTestImage();
    ASSERT_TRUE(loaded) << loaded.error().message;
    WorldTest::SetUp();
  }

  // An image of its own content under this name, loaded.
  void Load(const std::string& name) {
    ImageDescription image;
    image.name = name;
    image.layers = {{{"file", "content of " + name}}};
    image.command = {"/file"};
    image.user = "1000:1000";
    const std::string folder = world().NewFolder("layout");
    auto written = WriteOciLayout(folder, {image});
    ASSERT_TRUE(written) << written.error().message;
    const ProgramResult loaded = world().LoadImage(folder);
    ASSERT_EQ(loaded.exit_code, 0) << loaded.output;
  }

  Reply<v1::ImageStatusResponse> StatusOf(const std::string& reference) {
    v1::ImageStatusRequest request;
    request.mutable_image()->set_image(reference);
    auto reply = cri().ImageStatus(request);
    EXPECT_TRUE(reply.ok()) << reference << ": " << reply.message();
    return reply;
  }

  void Remove(const std::string& reference) {
    v1::RemoveImageRequest request;
    request.mutable_image()->set_image(reference);
    auto reply = cri().RemoveImage(request);
    EXPECT_TRUE(reply.ok()) << reference << ": " << reply.message();
  }

  static int Count(const std::string& text, const std::string& word) {
    int count = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      ++count;
    return count;
  }

  int Listed(const std::string& id) {
    int count = 0;
    auto reply = cri().ListImages({});
    EXPECT_TRUE(reply.ok()) << reply.message();
    for (const auto& image : reply->images()) count += image.id() == id;
    return count;
  }
};

TEST_F(ImageTest, ALoadedImageIsListedAndFoundByTagShortNameAndId) {
  Load("docker.io/library/found:2");
  auto by_tag = StatusOf("docker.io/library/found:2");
  ASSERT_TRUE(by_tag->has_image());
  const std::string id = by_tag->image().id();
  EXPECT_EQ(id.rfind("sha256:", 0), 0u) << id;
  EXPECT_GT(by_tag->image().size(), 0u);
  EXPECT_EQ(by_tag->image().uid().value(), 1000);
  EXPECT_EQ(by_tag->image().repo_tags(0), "docker.io/library/found:2");
  for (const std::string& name : {std::string("found:2"), id, id.substr(7)}) {
    EXPECT_EQ(StatusOf(name)->image().id(), id) << name;
  }
  EXPECT_EQ(Listed(id), 1);
  Remove("found:2");
  EXPECT_FALSE(StatusOf(id)->has_image());
  EXPECT_EQ(Listed(id), 0);
}

TEST_F(ImageTest, ListImagesHonoursItsFilter) {
  v1::ListImagesRequest request;
  request.mutable_filter()->mutable_image()->set_image("docker.io/library/absent:1");
  auto reply = cri().ListImages(request);
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->images_size(), 0);
  request.mutable_filter()->mutable_image()->set_image(kImage);
  reply = cri().ListImages(request);
  ASSERT_EQ(reply->images_size(), 1);
}

TEST_F(ImageTest, AbsentImagesAreNoErrorForStatusAndRemove) {
  EXPECT_FALSE(StatusOf("docker.io/library/absent:1")->has_image());
  EXPECT_FALSE(StatusOf(std::string(64, '0'))->has_image());
  Remove("docker.io/library/absent:1");
  Remove(std::string(64, '0'));
}

TEST_F(ImageTest, LoadingTwiceGivesOneImage) {
  Load("docker.io/library/twice:1");
  Load("docker.io/library/twice:1");
  const std::string id = StatusOf("twice:1")->image().id();
  EXPECT_EQ(Listed(id), 1);
  Remove(id);
}

TEST_F(ImageTest, ATagMovesToTheImageLoadedLast) {
  Load("docker.io/library/moving:1");
  const std::string first = StatusOf("moving:1")->image().id();
  ImageDescription image;
  image.name = "docker.io/library/moving:1";
  image.layers = {{{"file", "another content"}}};
  const std::string folder = world().NewFolder("layout");
  ASSERT_TRUE(WriteOciLayout(folder, {image}));
  ASSERT_EQ(world().LoadImage(folder).exit_code, 0);
  const std::string second = StatusOf("moving:1")->image().id();
  EXPECT_NE(first, second);
  Remove(first);
  Remove(second);
}

TEST_F(ImageTest, ImageFsInfoNamesAFolderAndItsUse) {
  auto reply = cri().ImageFsInfo({});
  ASSERT_TRUE(reply.ok()) << reply.message();
  ASSERT_EQ(reply->image_filesystems_size(), 1);
  const auto& usage = reply->image_filesystems(0);
  struct stat folder {};
  EXPECT_EQ(stat(usage.fs_id().mountpoint().c_str(), &folder), 0) << usage.fs_id().mountpoint();
  EXPECT_TRUE(S_ISDIR(folder.st_mode));
  ASSERT_TRUE(usage.has_used_bytes());
  EXPECT_GT(usage.used_bytes().value(), 100'000u);
  EXPECT_GT(usage.timestamp(), 0);
}

TEST_F(ImageTest, LoadShowsItsProgressByLayer) {
  ImageDescription image;
  image.name = "docker.io/library/progress:1";
  std::string noise(24 << 20, '\0');  // which no compression makes small
  uint64_t state = 1;
  for (char& byte : noise) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<char>(state >> 56);
  }
  image.layers = {{{"small", "x"}}, {{"large", noise}}};
  const std::string folder = world().NewFolder("layout");
  ASSERT_TRUE(WriteOciLayout(folder, {image}));
  // A line per layer where nobody watches.
  const ProgramResult logged = world().LoadImage(folder);
  ASSERT_EQ(logged.exit_code, 0) << logged.output;
  EXPECT_EQ(Count(logged.output, " MB done"), 2) << logged.output;
  EXPECT_NE(logged.output.find(image.name), std::string::npos) << logged.output;
  Remove(image.name);
  // How far it is where somebody does: script(1) gives it a terminal.
  const ProgramResult watched =
      RunProgram({"/usr/bin/script", "-qec",
                  fmt::format("{}/catamaran image load {} --config {}", ProgramFolder(), folder,
                              world().config_file()),
                  "/dev/null"});
  ASSERT_EQ(watched.exit_code, 0) << watched.output;
  EXPECT_GE(Count(watched.output, "% of "), 2) << watched.output;
  EXPECT_EQ(Count(watched.output, " MB done"), 2) << watched.output;
  Remove(image.name);
}

TEST_F(ImageTest, LoadOfADamagedLayerSaysWhichAndWhatToDoAndLeavesNothing) {
  ImageDescription image;
  image.name = "docker.io/library/damaged:1";
  image.layers = {{{"file", std::string(100'000, 'x')}}};
  const std::string folder = world().NewFolder("layout");
  ASSERT_TRUE(WriteOciLayout(folder, {image}));
  // The layer is the largest blob.
  std::filesystem::path blob;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/blobs/sha256"))
    if (blob.empty() || entry.file_size() > file_size(blob)) blob = entry.path();
  const std::string whole = *ReadFile(blob);
  std::string turned = whole;
  turned[whole.size() / 2] ^= 0x55;
  for (const std::string& damaged : {turned, whole.substr(0, whole.size() / 2), std::string()}) {
    ASSERT_TRUE(ReplaceFile(blob, damaged, 0644, Durability::kProcessCrash));
    const ProgramResult loaded = world().LoadImage(folder);
    EXPECT_NE(loaded.exit_code, 0);
    EXPECT_NE(loaded.output.find(blob.filename().string().substr(0, 12)), std::string::npos)
        << loaded.output;
    EXPECT_NE(loaded.output.find("again"), std::string::npos)
        << "says nothing of what to do next: " << loaded.output;
    EXPECT_FALSE(StatusOf(image.name)->has_image());
  }
}

TEST_F(ImageTest, LoadSaysWhatIsWrongWithAMalformedArchive) {
  const std::string folder = world().NewFolder("malformed");
  const ProgramResult loaded = world().LoadImage(folder);
  EXPECT_NE(loaded.exit_code, 0);
  EXPECT_NE(loaded.output.find(folder), std::string::npos) << loaded.output;
}

}  // namespace
}  // namespace catamaran::e2e
