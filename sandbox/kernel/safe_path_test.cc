#include "sandbox/kernel/safe_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

// A folder `outside`, and beside it the root that nothing may lead out of.
class SafePath : public ::testing::Test {
 protected:
  SafePath() {
    std::string pattern = fs::temp_directory_path() / "safe_path_XXXXXX";
    base_ = mkdtemp(pattern.data());
    fs::create_directories(base_ / "outside");
    fs::create_directories(base_ / "root/etc");
    root_ = OpenFile(base_ / "root", O_PATH | O_DIRECTORY).value();
  }
  ~SafePath() override { fs::remove_all(base_); }

  std::string Where(int fd) const {
    return fs::read_symlink("/proc/self/fd/" + std::to_string(fd))
        .string()
        .substr((base_ / "root").string().size());
  }

  fs::path base_;
  UniqueFd root_;
};

TEST_F(SafePath, AbsoluteLinksAndDotDotStayBelowTheRoot) {
  fs::create_directory_symlink("/etc", base_ / "root/absolute");
  fs::create_directory_symlink("../../../../etc", base_ / "root/relative");
  EXPECT_EQ(Where(OpenInRoot(root_.get(), "absolute", O_PATH)->get()), "/etc");
  EXPECT_EQ(Where(OpenInRoot(root_.get(), "relative", O_PATH)->get()), "/etc");
  EXPECT_EQ(Where(OpenInRoot(root_.get(), "/../../etc", O_PATH)->get()), "/etc");
}

TEST_F(SafePath, MakesFoldersAndFilesThatAreMissing) {
  auto folder = OpenOrCreateInRoot(root_.get(), "/a/./b//c/", TargetKind::kDirectory);
  ASSERT_TRUE(folder) << folder.error().message;
  EXPECT_EQ(Where(folder->get()), "/a/b/c");
  auto file = OpenOrCreateInRoot(root_.get(), "a/b/../file", TargetKind::kFile);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(fs::is_regular_file(base_ / "root/a/file"));
}

TEST_F(SafePath, DanglingLinksAreMadeWhereTheyPointBelowTheRoot) {
  fs::create_symlink("../run/resolve/stub.conf", base_ / "root/etc/resolv.conf");
  fs::create_symlink("/../../../../outside/leak", base_ / "root/etc/leak");
  ASSERT_TRUE(OpenOrCreateInRoot(root_.get(), "/etc/resolv.conf", TargetKind::kFile));
  EXPECT_TRUE(fs::is_regular_file(base_ / "root/run/resolve/stub.conf"));
  ASSERT_TRUE(OpenOrCreateInRoot(root_.get(), "/etc/leak", TargetKind::kFile));
  EXPECT_TRUE(fs::is_regular_file(base_ / "root/outside/leak"));
  EXPECT_TRUE(fs::is_empty(base_ / "outside"));
}

TEST_F(SafePath, LinksInACircleAreRefused) {
  fs::create_symlink("b", base_ / "root/a");
  fs::create_symlink("a", base_ / "root/b");
  auto made = OpenOrCreateInRoot(root_.get(), "a/x", TargetKind::kDirectory);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().system_errno, ELOOP);
}

TEST_F(SafePath, AnObjectOfTheOtherKindIsRefused) {
  ASSERT_TRUE(WriteAll(OpenFile(base_ / "root/file", O_CREAT | O_WRONLY, 0644)->get(), "x"));
  EXPECT_EQ(OpenOrCreateInRoot(root_.get(), "file", TargetKind::kDirectory).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(OpenOrCreateInRoot(root_.get(), "etc", TargetKind::kFile).error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(SafePath, AFifoIsFoundWithoutBeingOpened) {
  ASSERT_EQ(mkfifo((base_ / "root/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(OpenOrCreateInRoot(root_.get(), "fifo", TargetKind::kFile));
}

TEST_F(SafePath, SpecialFoldersMustNotBeLinks) {
  fs::create_directory_symlink("etc", base_ / "root/proc");
  auto proc = OpenOrCreateRealDirectory(root_.get(), "proc");
  ASSERT_FALSE(proc);
  EXPECT_EQ(proc.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(proc.error().message.find("/proc is a symbolic link"), std::string::npos);
  EXPECT_TRUE(OpenOrCreateRealDirectory(root_.get(), "sys"));
}

// CVE-2021-30465, CVE-2024-45310: a folder is swapped for a link while we make things below it.
TEST_F(SafePath, SwappingAFolderForALinkNeverLeadsOutside) {
  fs::create_directories(base_ / "root/volume/real");
  fs::create_directory_symlink("../../outside", base_ / "root/volume/link");
  const std::string real = base_ / "root/volume/real";
  const std::string link = base_ / "root/volume/link";
  std::atomic<bool> stop = false;
  std::thread attacker([&] {
    while (!stop) renameat2(AT_FDCWD, real.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
  });
  for (int i = 0; i < 2000; ++i) {
    const std::string path = "/volume/real/made" + std::to_string(i % 50) + "/below";
    // It may lose the race and fail; it must not succeed elsewhere.
    auto made = OpenOrCreateInRoot(root_.get(), path, TargetKind::kDirectory);
    if (i % 50 == 49) fs::remove_all(base_ / "root/outside");
  }
  stop = true;
  attacker.join();
  EXPECT_TRUE(fs::is_empty(base_ / "outside"));
}

}  // namespace
}  // namespace catamaran
