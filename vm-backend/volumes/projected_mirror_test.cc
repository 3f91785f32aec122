#include "vm-backend/volumes/projected_mirror.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/inotify.h>

#include <atomic>
#include <thread>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"
#include "vm-backend/volumes/atomic_writer_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Mirror : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mirror_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    scratch_ = name;
    source_ = scratch_ / "source";
    target_ = scratch_ / "target";
    fs::create_directory(target_);
    writer_ = std::make_unique<AtomicWriter>(source_);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(scratch_)); }

  Status Pass(const MirrorLimits& limits = {}) {
    return MirrorProjected(GuestPath(source_), GuestPath(target_), limits);
  }
  std::string Read(const std::string& name) {
    auto content = ReadFile(target_ / name);
    return content ? *content : content.error().message;
  }
  std::vector<std::string> Names() { return ListDirectory(target_).value(); }

  fs::path scratch_, source_, target_;
  std::unique_ptr<AtomicWriter> writer_;
};

TEST_F(Mirror, CopiesFilesFoldersAndModesAsTheKubeletLaidThemOut) {
  writer_->Write({{"key", {"value", 0440}}, {"deep/below/file", {"inner", 0400}}});
  ASSERT_EQ(chmod(source_.c_str(), 02750), 0);
  ASSERT_TRUE(Pass());
  EXPECT_EQ(Read("key"), "value");
  EXPECT_EQ(Read("deep/below/file"), "inner");
  EXPECT_EQ(fs::read_symlink(target_ / "key"), "..data/key");
  EXPECT_EQ(fs::read_symlink(target_ / "..data"), fs::read_symlink(source_ / "..data"));
  EXPECT_EQ(Names(), ListDirectory(source_).value());
  struct stat status;
  ASSERT_EQ(stat((target_ / "key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0440u);
  ASSERT_EQ(stat(target_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 02750u);
}

TEST_F(Mirror, FollowsASwapWithNewAndRemovedNamesAndLeavesNothingBehind) {
  writer_->Write({{"stays", {"1"}}, {"goes", {"1"}}});
  ASSERT_TRUE(Pass());
  writer_->Write({{"stays", {"2"}}, {"comes", {"2"}}});
  ASSERT_TRUE(Pass());
  EXPECT_EQ(Read("stays"), "2");
  EXPECT_EQ(Read("comes"), "2");
  EXPECT_EQ(Names(), ListDirectory(source_).value());
}

TEST_F(Mirror, TheSwapIsSeenByAWatchOfTheFolderAndNothingIsWhereNothingChanged) {
  writer_->Write({{"key", {"1"}}});
  ASSERT_TRUE(Pass());
  const UniqueFd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(inotify_add_watch(watch.get(), target_.c_str(),
                              IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE)),
            0);
  alignas(inotify_event) char events[16 << 10];
  ASSERT_TRUE(Pass());
  EXPECT_EQ(read(watch.get(), events, sizeof events), -1);
  writer_->Write({{"key", {"2"}}});
  ASSERT_TRUE(Pass());
  const ssize_t count = read(watch.get(), events, sizeof events);
  bool swapped = false;
  for (ssize_t at = 0; at < count;) {
    const auto* event = reinterpret_cast<const inotify_event*>(events + at);
    swapped |= (event->mask & IN_MOVED_TO) != 0 && std::string(event->name) == "..data";
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  EXPECT_TRUE(swapped);
}

TEST_F(Mirror, AReaderSeesTheOldFilesOrTheNewOnesNeverSomeOfBoth) {
  writer_->Write({{"a", {"0"}}, {"b", {"0"}}});
  ASSERT_TRUE(Pass());
  std::atomic<bool> stop = false;
  std::atomic<int> mixed = 0, whole = 0;
  std::thread reader([&] {
    while (!stop) {
      // A program that wants both from one generation holds the folder open.
      const UniqueFd data(open((target_ / "..data").c_str(), O_RDONLY | O_DIRECTORY));
      const auto a = ReadFileAt(data.get(), "a"), b = ReadFileAt(data.get(), "b");
      if (!a || !b) continue;  // removed as the former generation
      ++(*a == *b && !a->empty() ? whole : mixed);
    }
  });
  for (int i = 1; i < 200; ++i) {
    writer_->Write({{"a", {std::to_string(i)}}, {"b", {std::to_string(i)}}});
    EXPECT_TRUE(Pass());
  }
  while (whole == 0 && mixed == 0) std::this_thread::yield();
  stop = true;
  reader.join();
  EXPECT_EQ(mixed, 0);
  EXPECT_GT(whole, 0);
}

TEST_F(Mirror, CopiesTakenWhileTheHostSwapsAreWhole) {
  writer_->Write({{"a", {"0"}}, {"b", {"0"}}});
  ASSERT_TRUE(Pass());
  std::atomic<bool> stop = false;
  std::thread host([&] {
    for (int i = 1; !stop; ++i)
      writer_->Write({{"a", {std::to_string(i)}}, {"b", {std::to_string(i)}}});
  });
  for (int i = 0; i < 100; ++i) {
    (void)Pass();  // may give up: then the former copy stays
    const std::string a = Read("a");
    EXPECT_FALSE(a.empty());
    EXPECT_EQ(a, Read("b"));
  }
  stop = true;
  host.join();
  ASSERT_TRUE(Pass());
  EXPECT_EQ(Read("a"), ReadFile(source_ / "a").value());
}

TEST_F(Mirror, WhatAPassLeftThatWasCutShortIsReplaced) {
  writer_->Write({{"key", {"whole"}}});
  const fs::path current = fs::read_symlink(source_ / "..data");
  fs::create_directory(target_ / current);
  std::ofstream(target_ / current / "key") << "ha";
  fs::create_symlink("nowhere", target_ / "..data_next");
  ASSERT_TRUE(Pass());
  EXPECT_EQ(Read("key"), "whole");
  EXPECT_EQ(Names(), ListDirectory(source_).value());
}

TEST_F(Mirror, TooMuchIsRefusedByNameAndTheFormerCopyStays) {
  writer_->Write({{"key", {"small"}}});
  ASSERT_TRUE(Pass());
  const auto before = Names();
  writer_->Write({{"key", {std::string(2000, 'x')}}});
  const auto large = Pass({.bytes = 1000, .entries = 10});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(large.error().message.find("1000 bytes"), std::string::npos);
  std::map<std::string, AtomicWriter::File> many;
  for (int i = 0; i < 20; ++i) many["key" + std::to_string(i)] = {"x"};
  writer_->Write(many);
  const auto crowded = Pass({.bytes = 1000, .entries = 10});
  ASSERT_FALSE(crowded);
  EXPECT_EQ(crowded.error().code, ErrorCode::kResourceExhausted);
  EXPECT_NE(crowded.error().message.find("10 files"), std::string::npos);
  EXPECT_EQ(Read("key"), "small");
  EXPECT_EQ(Names(), before);
}

TEST_F(Mirror, AFolderOfAnotherKindIsRefused) {
  const auto refusal = [&] {
    const auto result = Pass();
    EXPECT_FALSE(result);
    return result ? ErrorCode::kUnknown : result.error().code;
  };
  for (const char* data : {"/etc", "../source", "..", "sub/folder", "..data"}) {
    fs::remove(source_ / "..data");
    fs::create_symlink(data, source_ / "..data");
    EXPECT_EQ(refusal(), ErrorCode::kFailedPrecondition) << data;
  }
  fs::remove(source_ / "..data");
  fs::create_directory(source_ / "..now");
  ASSERT_EQ(mkfifo((source_ / "..now/fifo").c_str(), 0600), 0);
  fs::create_symlink("..now", source_ / "..data");
  EXPECT_EQ(refusal(), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Names(), std::vector<std::string>{});
}

}  // namespace
}  // namespace catamaran
