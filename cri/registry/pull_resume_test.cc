// Pulls that go on where an earlier one, maybe of another process, was cut.
#include <atomic>
#include <fstream>
#include <mutex>

#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// A layer that is large enough to be kept where its pull is cut.
class ResumedPullTest : public PullLab {
 protected:
  using Request = TestServer::Request;
  ResumedPullTest() {
    AddImage(*registry_, "app", "1", image_);
    options_.patience.retry.rounds = 1;
    MakePuller();
  }
  TestServer::Answer AtProxy(const Request& request) {
    auto answer = Forward(request, registry_->port());
    if (!request.Asks(BlobDigest(image_.layers[0]))) return answer;
    {
      const std::lock_guard lock(mutex_);
      ranges_.push_back(request.Header("range"));
    }
    answer.between_blocks = between_blocks_;
    if (cut_ > 0) answer.bytes.resize(std::min(answer.bytes.size(), HeadSize(answer.bytes) + cut_));
    return answer;
  }
  std::vector<std::filesystem::path> Partial() {
    std::vector<std::filesystem::path> files;
    const auto names = ListDirectory(scratch_ / "images/partial").value();
    for (const auto& name : names) files.push_back(scratch_ / "images/partial" / name);
    return files;
  }
  void RestartStore() {
    puller_.reset();
    store_.reset();
    store_ = ImageStore::Open(HostPath(scratch_ / "images")).value();
    MakePuller();
  }
  void ExpectPulls() {
    const auto pulled = Pull(name_);
    ASSERT_TRUE(pulled) << pulled.error().message;
    ExpectWhole(*pulled, image_);
    EXPECT_TRUE(Partial().empty());
    ExpectNothingLeft();
  }

  const TestImage image_{.layers = {Layer("big", 6'000'000, 1)}};
  std::atomic<size_t> cut_{3'000'000};
  std::atomic<std::chrono::milliseconds> between_blocks_{std::chrono::milliseconds(0)};
  std::mutex mutex_;
  std::vector<std::string> ranges_;
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
  TestServer proxy_{[this](const Request& request) { return AtProxy(request); }};
  const std::string name_ = proxy_.address() + "/app:1";
};

TEST_F(ResumedPullTest, GoesOnWhereAnEarlierOneOfAnotherProcessWasCut) {
  EXPECT_EQ(Pull(name_).error().code, ErrorCode::kUnavailable);
  ASSERT_EQ(Partial().size(), 1u);
  EXPECT_EQ(std::filesystem::file_size(Partial()[0]), 3'000'000u);
  RestartStore();
  cut_ = 0;
  ExpectPulls();
  EXPECT_EQ(ranges_, (std::vector<std::string>{"", "bytes=3000000-"}));
}

TEST_F(ResumedPullTest, BytesThatWereSpoiledMeanwhileAreNoticedAndFetchedAgain) {
  EXPECT_FALSE(Pull(name_));
  ASSERT_EQ(Partial().size(), 1u);
  std::fstream(Partial()[0], std::ios::in | std::ios::out | std::ios::binary).seekp(1'000'000)
      << std::string(4096, '\0');
  cut_ = 0;
  ExpectPulls();
  EXPECT_EQ(ranges_.back(), "");
}

TEST_F(ResumedPullTest, ACallerThatGoesAwayLeavesWhatCame) {
  std::atomic<bool> gone{false};
  ImageStore::LoadOptions options;
  options.cancelled = [&] { return gone.load(); };
  options.progress = [&](const ImageStore::Progress& p) { gone = p.done_bytes > 1'500'000; };
  cut_ = 0;
  between_blocks_ = std::chrono::milliseconds(20);
  EXPECT_EQ(Pull(name_, std::nullopt, options).error().code, ErrorCode::kDeadlineExceeded);
  RestartStore();
  between_blocks_ = std::chrono::milliseconds(0);
  ExpectPulls();
  EXPECT_NE(ranges_.back(), "");
}

}  // namespace
}  // namespace catamaran
