#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/base/result.h"

namespace catamaran {
namespace {

std::filesystem::path Scratch(const std::string& name) {
  auto path =
      std::filesystem::path(testing::TempDir()) / ("base_test_" + name + std::to_string(getpid()));
  EXPECT_TRUE(RemoveTree(path));
  EXPECT_TRUE(MakeDirectories(path));
  return path;
}

Result<int> Half(int value) {
  if (value % 2 != 0) return Fail(ErrorCode::kInvalidArgument, "{} is odd", value);
  return value / 2;
}

Result<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  return Half(half);
}

TEST(Result, MacrosPassValuesAndErrors) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_EQ(Quarter(6).error().code, ErrorCode::kInvalidArgument);
}

TEST(Result, EachLayerSaysWhatItWasDoing) {
  auto error = OpenFile("/nowhere/file", O_RDONLY).error();
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_EQ(error.system_errno, ENOENT);
  EXPECT_EQ(std::move(error).While("read the record").message,
            "read the record: open /nowhere/file: No such file or directory");
}

TEST(Cleanup, RunsInReverseUnlessDismissed) {
  std::string order;
  {
    Cleanup cleanup;
    cleanup.Add([&] { order += "a"; });
    cleanup.Add([&] { order += "b"; });
  }
  EXPECT_EQ(order, "ba");
  {
    Cleanup cleanup([&] { order += "c"; });
    cleanup.Dismiss();
  }
  EXPECT_EQ(order, "ba");
}

TEST(ReplaceFile, LeavesOneWholeFileWithItsMode) {
  const auto folder = Scratch("replace");
  ASSERT_TRUE(ReplaceFile(folder / "record", "one", 0600, Durability::kPowerCut));
  ASSERT_TRUE(ReplaceFile(folder / "record", "second", 0600, Durability::kProcessCrash));
  EXPECT_EQ(ReadFile(folder / "record").value(), "second");
  EXPECT_EQ(ListDirectory(folder).value(), std::vector<std::string>{"record"});
  struct stat status;
  ASSERT_EQ(stat((folder / "record").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_TRUE(RemoveTree(folder));
}

TEST(ReadFile, RefusesMoreThanItsLimit) {
  const auto folder = Scratch("limit");
  ASSERT_TRUE(ReplaceFile(folder / "big", std::string(100, 'x'), 0600, Durability::kProcessCrash));
  EXPECT_EQ(ReadFile(folder / "big", 99).error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(ReadFile(folder / "big", 100).value().size(), 100u);
  EXPECT_TRUE(RemoveTree(folder));
}

TEST(RemoveTree, DoesNotFollowSymlinks) {
  const auto folder = Scratch("tree");
  ASSERT_TRUE(MakeDirectories(folder / "victim"));
  ASSERT_TRUE(ReplaceFile(folder / "victim/kept", "x", 0600, Durability::kProcessCrash));
  ASSERT_TRUE(MakeDirectories(folder / "gone/deep"));
  ASSERT_EQ(symlink((folder / "victim").c_str(), (folder / "gone/deep/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(folder / "gone"));
  EXPECT_FALSE(Exists(folder / "gone"));
  EXPECT_TRUE(Exists(folder / "victim/kept"));
  EXPECT_TRUE(RemoveTree(folder / "gone"));
  EXPECT_TRUE(RemoveTree(folder));
}

}  // namespace
}  // namespace catamaran
