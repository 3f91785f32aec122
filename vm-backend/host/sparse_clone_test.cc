#include "vm-backend/host/sparse_clone.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class SparseClone : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "clone-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  HostPath In(const char* name) { return HostPath(folder_ / name); }
  std::filesystem::path folder_;
};

TEST_F(SparseClone, HasTheSameContentAndTakesNoMoreDisk) {
  const HostPath source = In("source"), target = In("target");
  const std::string data(100'000, 'x');
  {
    auto fd = OpenFile(source.value(), O_RDWR | O_CREAT, 0600);
    ASSERT_TRUE(fd);
    ASSERT_EQ(ftruncate(fd->get(), 8ll << 30), 0);
    for (const off_t at : {0l, 1l << 20, 5l << 30})
      ASSERT_EQ(pwrite(fd->get(), data.data(), data.size(), at), static_cast<ssize_t>(data.size()));
  }
  ASSERT_TRUE(CloneSparse(source, target));
  struct stat from {
  }, to{};
  ASSERT_EQ(stat(source.c_str(), &from), 0);
  ASSERT_EQ(stat(target.c_str(), &to), 0);
  EXPECT_EQ(to.st_size, 8ll << 30);
  EXPECT_EQ(to.st_mode & 07777, 0600u);
  EXPECT_LE(to.st_blocks, from.st_blocks + 64);
  auto fd = OpenFile(target.value(), O_RDONLY);
  std::string read_back(data.size(), 0);
  for (const off_t at : {0l, 1l << 20, 5l << 30}) {
    ASSERT_EQ(pread(fd->get(), read_back.data(), data.size(), at),
              static_cast<ssize_t>(data.size()));
    EXPECT_EQ(read_back, data) << at;
  }
  ASSERT_EQ(pread(fd->get(), read_back.data(), 1, 3l << 30), 1);
  EXPECT_EQ(read_back[0], '\0');
}

TEST_F(SparseClone, NeverOverwrites) {
  ASSERT_TRUE(ReplaceFile(In("source").value(), "new", 0600, Durability::kProcessCrash));
  ASSERT_TRUE(ReplaceFile(In("target").value(), "old", 0600, Durability::kProcessCrash));
  const auto cloned = CloneSparse(In("source"), In("target"));
  ASSERT_FALSE(cloned);
  EXPECT_EQ(cloned.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(*ReadFile(In("target").value()), "old");
}

TEST_F(SparseClone, SaysWhichFileIsMissing) {
  const auto cloned = CloneSparse(In("none"), In("target"));
  ASSERT_FALSE(cloned);
  EXPECT_EQ(cloned.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(Exists(In("target").value()));
}

}  // namespace
}  // namespace catamaran
