#include "cri/images/partial_layers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/hasher.h"
#include "cri/images/testing/image_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kSize = 8 << 20;

// Bytes that end in an error at `cut`; remembers where it was asked to begin.
class CutSource : public LayerSource {
 public:
  CutSource(std::string content, std::string origin)
      : content_(std::move(content)), origin_(std::move(origin)) {}
  Result<std::unique_ptr<ByteSource>> Open(Deadline deadline,
                                           std::function<bool()> cancelled) override {
    return OpenAt(0, deadline, std::move(cancelled));
  }
  bool CanResume() const override { return can_resume; }
  Result<std::unique_ptr<ByteSource>> OpenAt(uint64_t offset, Deadline,
                                             std::function<bool()>) override {
    begins.push_back(offset);
    return std::make_unique<Bytes>(*this, offset);
  }
  std::string Origin() const override { return origin_; }

  size_t cut = kSize;
  bool can_resume = true;
  std::vector<uint64_t> begins;

 private:
  struct Bytes : ByteSource {
    Bytes(CutSource& source, size_t at) : source(source), at(at) {}
    Result<size_t> Read(char* buffer, size_t size) override {
      const size_t count = std::min({size, source.cut - std::min(source.cut, at), size_t{100'000}});
      if (count == 0 && at < kSize) return Fail(ErrorCode::kUnavailable, "cut");
      source.content_.copy(buffer, count, at);
      at += count;
      return count;
    }
    CutSource& source;
    size_t at;
  };
  const std::string content_;
  const std::string origin_;
};

class PartialLayersTest : public testing::Test {
 protected:
  PartialLayersTest() {
    EXPECT_TRUE(MakeDirectories(scratch_ / "partial"));
    for (size_t i = 0; i < content_.size(); i += 7) content_[i] = static_cast<char>(i >> 3);
  }
  IncomingLayer LayerFrom(std::shared_ptr<CutSource> source) {
    return {.digest = Sha256Of(content_), .size_bytes = kSize, .source = std::move(source)};
  }
  std::shared_ptr<CutSource> Source(const std::string& origin = "r.test") {
    return std::make_shared<CutSource>(content_, origin);
  }
  // Reads until the end or a cut; returns what came.
  std::string ReadAndFinish(const IncomingLayer& layer, PartialLayers::End end) {
    auto opened = partial_.Open(layer, Deadline::Never(), {});
    EXPECT_TRUE(opened);
    std::string all(kSize + 1, '\0');
    size_t size = 0;
    for (;;) {
      const auto count = (*opened)->Read(all.data() + size, all.size() - size);
      if (!count || *count == 0) break;
      size += *count;
    }
    (*opened)->Finish(end);
    all.resize(size);
    return all;
  }
  size_t Files() { return ListDirectory(scratch_ / "partial")->size(); }

  std::string content_ = std::string(kSize, 'x');
  ScratchFolder scratch_{"partial"};
  PartialLayers partial_{HostPath(scratch_ / "partial")};
};

TEST_F(PartialLayersTest, WhatCameBeforeACutIsNotAskedForAgain) {
  const auto source = Source();
  source->cut = 3'000'000;
  ReadAndFinish(LayerFrom(source), PartialLayers::End::kCut);
  source->cut = 5'000'000;
  ReadAndFinish(LayerFrom(source), PartialLayers::End::kCut);
  EXPECT_EQ(Files(), 1u);
  source->cut = kSize;
  EXPECT_TRUE(ReadAndFinish(LayerFrom(source), PartialLayers::End::kWhole) == content_);
  EXPECT_EQ(source->begins, (std::vector<uint64_t>{0, 3'000'000, 5'000'000}));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PartialLayersTest, AllOfItNeedsNoSource) {
  ReadAndFinish(LayerFrom(Source()), PartialLayers::End::kCut);
  const auto source = Source();
  EXPECT_TRUE(ReadAndFinish(LayerFrom(source), PartialLayers::End::kWhole) == content_);
  EXPECT_TRUE(source->begins.empty());
}

TEST_F(PartialLayersTest, AShorterTryLeavesWhatALongerOneHadKept) {
  ReadAndFinish(LayerFrom(Source()), PartialLayers::End::kCut);
  auto opened = partial_.Open(LayerFrom(Source()), Deadline::Never(), {});
  (*opened)->Finish(PartialLayers::End::kCut);
  opened->reset();
  EXPECT_EQ(Files(), 1u);
}

TEST_F(PartialLayersTest, WrongOrUnfinishedBytesAreNotKept) {
  ReadAndFinish(LayerFrom(Source()), PartialLayers::End::kWrong);
  EXPECT_EQ(Files(), 0u);
  char buffer[100];
  { EXPECT_TRUE((*partial_.Open(LayerFrom(Source()), Deadline::Never(), {}))->Read(buffer, 100)); }
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PartialLayersTest, AnotherOriginBeginsAnew) {
  ReadAndFinish(LayerFrom(Source("evil.test")), PartialLayers::End::kCut);
  const auto source = Source();
  ReadAndFinish(LayerFrom(source), PartialLayers::End::kCut);
  EXPECT_EQ(source->begins, std::vector<uint64_t>{0});
  EXPECT_EQ(Files(), 2u);
}

TEST_F(PartialLayersTest, TwoCallsAtOnceDoNotMix) {
  const auto first = Source();
  const auto layer = LayerFrom(first);
  auto opened = partial_.Open(layer, Deadline::Never(), {});
  char buffer[1000];
  ASSERT_TRUE((*opened)->Read(buffer, sizeof buffer));
  const auto second = Source();
  EXPECT_TRUE(ReadAndFinish(LayerFrom(second), PartialLayers::End::kWhole) == content_);
  EXPECT_EQ(second->begins, std::vector<uint64_t>{0});
}

TEST_F(PartialLayersTest, ASourceThatCannotResumeIsReadFromTheStart) {
  const auto source = Source();
  source->can_resume = false;
  source->cut = 3'000'000;
  ReadAndFinish(LayerFrom(source), PartialLayers::End::kCut);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(PartialLayersTest, WhatIsOldGoes) {
  ReadAndFinish(LayerFrom(Source()), PartialLayers::End::kCut);
  partial_.Sweep();
  EXPECT_EQ(Files(), 1u);
  const auto name = ListDirectory(scratch_ / "partial").value()[0];
  const timespec old[2] = {{time(nullptr) - 7200, 0}, {time(nullptr) - 7200, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (scratch_ / "partial" / name).c_str(), old, 0), 0);
  partial_.Sweep();
  EXPECT_EQ(Files(), 0u);
}

}  // namespace
}  // namespace catamaran
