#include "cri/install/program_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class ProgramTree : public ::testing::Test {
 protected:
  ProgramTree() {
    char pattern[] = "/tmp/program-tree-XXXXXX";
    folder_ = HostPath(mkdtemp(pattern));
    from_ = folder_ / "from";
    to_ = folder_ / "deep/to";
    Write(from_ / "bin/program", "one", 0755);
    Write(from_ / "share/text", "words", 0644);
    std::filesystem::create_symlink("program", from_.value() / "bin/other");
  }
  ~ProgramTree() override { EXPECT_TRUE(RemoveTree(folder_.value())); }
  static void Write(const HostPath& file, const std::string& content, mode_t mode) {
    ASSERT_TRUE(MakeDirectories(file.value().parent_path(), 0755));
    ASSERT_TRUE(ReplaceFile(file.value(), content, mode, Durability::kProcessCrash));
  }

  HostPath folder_, from_, to_;
};

TEST_F(ProgramTree, IsCopiedWithModesAndLinks) {
  EXPECT_FALSE(*TreesAreEqual(from_, to_));
  ASSERT_TRUE(ReplaceTree(from_, to_));
  EXPECT_TRUE(*TreesAreEqual(from_, to_));
  struct stat status;
  ASSERT_EQ(stat((to_ / "bin/other").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0755u);
}

TEST_F(ProgramTree, OfBeforeIsReplacedWhole) {
  Write(to_ / "bin/program", "zero", 0755);
  Write(to_ / "bin/gone", "zero", 0755);
  Write(HostPath(to_.string() + ".new") / "half", "a copy that was interrupted", 0644);
  ASSERT_TRUE(ReplaceTree(from_, to_));
  EXPECT_TRUE(*TreesAreEqual(from_, to_));
  EXPECT_FALSE(Exists((to_ / "bin/gone").value()));
  EXPECT_EQ(ListDirectory(to_.value().parent_path())->size(), 1u);
}

TEST_F(ProgramTree, IsEqualOnlyToItself) {
  ASSERT_TRUE(ReplaceTree(from_, to_));
  Write(to_ / "bin/program", "two", 0755);
  EXPECT_FALSE(*TreesAreEqual(from_, to_)) << "another content of the same size";
  Write(to_ / "bin/program", "one", 0644);
  EXPECT_FALSE(*TreesAreEqual(from_, to_)) << "another mode";
  Write(to_ / "bin/program", "one", 0755);
  Write(to_ / "more", "", 0644);
  EXPECT_FALSE(*TreesAreEqual(from_, to_)) << "one file more";
}

TEST_F(ProgramTree, HasThePackedDiskUnpackedWithItsHoles) {
  Write(from_ / "guest/writable.img", "first", 0644);
  const std::string disk = (from_ / "guest/writable.img").string();
  constexpr off_t kSize = off_t{8} << 30;
  ASSERT_EQ(truncate(disk.c_str(), kSize), 0);
  const int fd = open(disk.c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(fd, "last", 4, kSize - 4), 4);
  close(fd);
  const std::string pack = "cd " + (from_ / "guest").string() +
                           " && tar --format=posix --sparse -cf writable.tar writable.img && rm "
                           "writable.img";
  ASSERT_EQ(system(pack.c_str()), 0);
  EXPECT_LT(std::filesystem::file_size((from_ / "guest/writable.tar").value()), 1u << 20);
  ASSERT_TRUE(ReplaceTree(from_, to_));
  EXPECT_TRUE(*TreesAreEqual(from_, to_));
  struct stat status;
  ASSERT_EQ(stat((to_ / "guest/writable.img").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, kSize);
  EXPECT_LT(status.st_blocks * 512, 1 << 20) << "holes stay";
  const int copy = open((to_ / "guest/writable.img").c_str(), O_RDONLY);
  char words[5] = {};
  EXPECT_EQ(pread(copy, words, 4, kSize - 4), 4);
  EXPECT_STREQ(words, "last");
  EXPECT_EQ(pread(copy, words, 4, 0), 4);
  EXPECT_STREQ(words, "firs");
  close(copy);
  ASSERT_EQ(unlink((to_ / "guest/writable.img").c_str()), 0);
  EXPECT_FALSE(*TreesAreEqual(from_, to_)) << "without the disk";
}

TEST_F(ProgramTree, ThatIsAbsentLeavesTheOldOneAlone) {
  Write(to_ / "bin/program", "zero", 0755);
  const Status replaced = ReplaceTree(HostPath("/no/such/tree"), to_);
  ASSERT_FALSE(replaced);
  EXPECT_NE(replaced.error().message.find("/no/such/tree"), std::string::npos);
  EXPECT_EQ(*ReadFile((to_ / "bin/program").value()), "zero");
}

}  // namespace
}  // namespace catamaran
