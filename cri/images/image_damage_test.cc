// What a store does about what it finds at its start, damaged, or left by a crash.
#include <unistd.h>

#include "cri/images/sqlite.h"
#include "cri/images/testing/image_store_lab.h"

namespace catamaran {
namespace {

TEST_F(ImageStoreTest, OneProcessAtATimeOwnsTheFolder) {
  EXPECT_EQ(ImageStore::Open(HostPath(scratch_ / "images")).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(ImageStoreTest, SweepsWhatNothingRefersToAtStart) {
  Load(Simple("app"));
  for (const char* name : {"blobs/feed.erofs", "merged/feed.erofs", "tmp/part.0"})
    WriteTestFile(scratch_ / (std::string("images/") + name), "left behind");
  Open();
  EXPECT_EQ(Files("blobs").size(), 1u);
  EXPECT_TRUE(Files("merged").empty());
  EXPECT_TRUE(Files("tmp").empty());
  EXPECT_TRUE(Find("app"));
}

TEST_F(ImageStoreTest, AnImageWhoseBlobIsCutOffIsForgottenAtStart) {
  Load(Simple("app"));
  ASSERT_EQ(truncate((scratch_ / ("images/blobs/" + Files("blobs")[0])).c_str(), 4096), 0);
  Open();
  EXPECT_FALSE(Find("app"));
  EXPECT_TRUE(Files("blobs").empty());
}

TEST_F(ImageStoreTest, ADamagedBlobIsMadeAgainWhenItsImageIsLoaded) {
  Load(Simple("app"));
  const auto blob = scratch_ / ("images/blobs/" + Files("blobs")[0]);
  const std::string good = ReadFile(blob).value();
  std::string bad = good;
  bad[5000] = static_cast<char>(bad[5000] ^ 1);
  WriteTestFile(blob, bad);
  Load(Simple("app"));
  EXPECT_EQ(ReadFile(blob).value(), good);
}

// Bytes that this process has read from files so far.
uint64_t BytesRead() {
  const std::string text = ReadFile("/proc/self/io").value();
  return std::stoull(text.substr(text.find("rchar: ") + 7));
}

TEST_F(ImageStoreTest, ABlobThatWasReadWholeIsNotReadAgain) {
  constexpr size_t kBytes = 20 << 20;
  const TestImage image{.layers = {TarBuilder().File("big", std::string(kBytes, 'x')).Build()}};
  Load(image);
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // see FileStamp::IsRecent
  const uint64_t start = BytesRead();
  Load(image);
  const uint64_t first = BytesRead();
  Load(image);
  EXPECT_GE(first - start, kBytes);
  EXPECT_LT(BytesRead() - first, kBytes);
}

// A power cut may have taken what the disk said it had.
TEST_F(ImageStoreTest, ABlobFoundDamagedAfterABootTakesItsImagesWithIt) {
  Load(Simple("app"));
  const auto blob = scratch_ / ("images/blobs/" + Files("blobs")[0]);
  std::string bad = ReadFile(blob).value();
  bad[5000] = static_cast<char>(bad[5000] ^ 1);
  WriteTestFile(blob, bad);
  Open();  // checked already in this boot: by the time the store was made it was empty
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  store_.reset();
  {
    auto index = Database::Open((scratch_ / "images/index.db").string()).value();
    ASSERT_TRUE(index.Run("INSERT OR REPLACE INTO facts VALUES ('checked_in', 'an earlier boot')"));
  }
  Open();
  while (Find("app") && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(Find("app"));
  EXPECT_TRUE(Files("blobs").empty());
  Load(Simple("app"));
  EXPECT_TRUE(Find("app"));
}

}  // namespace
}  // namespace catamaran
