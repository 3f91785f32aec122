#include "shim/client/shim_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

using Holder = ShimLockState::Holder;

class ShimLock : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(MakeDirectories(folder_)); }
  void TearDown() override {
    if (shim_.pidfd.valid()) (void)KillAndReap(shim_.pidfd.get());
    ASSERT_TRUE(RemoveTree(folder_));
  }
  Holder Look() const {
    const auto state = LookAtLock(paths_);
    EXPECT_TRUE(state) << state.error().message;
    return state->holder;
  }
  // A process with the daemon's open file, as a shim is spawned; returns once `body` has run.
  void Spawn(int fd, const std::function<bool(int fd)>& body) {
    Pipe ready = *MakePipe();
    shim_ = *CloneProcess({.dies_with_parent = true}, [&] {
      if (!body(fd) || write(ready.write_end.get(), "x", 1) != 1) return 1;
      ready.write_end.Reset();
      while (true) pause();
      return 0;
    });
    ready.write_end.Reset();
    char byte;
    ASSERT_EQ(read(ready.read_end.get(), &byte, 1), 1);
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("catamaran-lock-" + std::to_string(getpid()));
  const ShimPaths paths_{HostPath(folder_)};
  ChildProcess shim_;
};

TEST_F(ShimLock, IsNobodysWhereThereIsNoFile) { EXPECT_EQ(Look(), Holder::kNobody); }

TEST_F(ShimLock, IsTheStartersUntilTheShimTakesItOver) {
  auto lock = LockForShim(paths_);
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_EQ(Look(), Holder::kStarting);
  Spawn(lock->get(), [](int) { return true; });
  lock->Reset();
  EXPECT_EQ(Look(), Holder::kStarting) << "the child has the open file";
  ASSERT_TRUE(KillAndReap(shim_.pidfd.get()));
  shim_.pidfd.Reset();
  EXPECT_EQ(Look(), Holder::kNobody) << "it died before it took the lock over";
}

TEST_F(ShimLock, NamesTheShimThatHoldsIt) {
  auto lock = LockForShim(paths_);
  ASSERT_TRUE(lock);
  Spawn(lock->get(), [](int fd) { return TakeOverLock(fd).has_value(); });
  lock->Reset();
  const auto state = LookAtLock(paths_);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->holder, Holder::kShim);
  EXPECT_EQ(state->shim, shim_.pid);
}

// A container's first process has a copy of all that the shim has open, until it executes.
TEST_F(ShimLock, IsNotKeptByAChildThatOutlivesItsShim) {
  auto lock = LockForShim(paths_);
  ASSERT_TRUE(lock);
  Pipe child_lives = *MakePipe();
  Spawn(lock->get(), [&](int fd) {
    if (!TakeOverLock(fd)) return false;
    const auto child = CloneProcess({}, [&] {
      char byte;
      child_lives.write_end.Reset();
      return static_cast<int>(read(child_lives.read_end.get(), &byte, 1));  // until the test ends
    });
    return child.has_value();
  });
  lock->Reset();
  EXPECT_EQ(Look(), Holder::kShim);
  ASSERT_TRUE(KillAndReap(shim_.pidfd.get()));
  shim_.pidfd.Reset();
  EXPECT_EQ(Look(), Holder::kNobody);
}

TEST_F(ShimLock, IsRefusedToASecondStarter) {
  auto lock = LockForShim(paths_);
  ASSERT_TRUE(lock);
  const auto second = LockForShim(paths_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  Spawn(lock->get(), [](int fd) { return TakeOverLock(fd).has_value(); });
  lock->Reset();
  const auto third = LockForShim(paths_);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(third.error().message.find(std::to_string(shim_.pid)), std::string::npos);
}

TEST_F(ShimLock, FollowsNoLinkInItsPlace) {
  std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "shim.lock");
  EXPECT_FALSE(LockForShim(paths_));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "elsewhere"));
}

}  // namespace
}  // namespace catamaran
