#include "cri/doctor/scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cri/images/erofs/reader.h"
#include "sandbox/base/files.h"
#include "sandbox/probes/probe_layer.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Scratch : public ::testing::Test {
 protected:
  Scratch() {
    std::string pattern = fs::temp_directory_path() / "scratch_test_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~Scratch() override { fs::remove_all(folder_); }
  std::vector<std::string> Names() const { return ListDirectory(folder_).value(); }

  fs::path folder_;
};

TEST_F(Scratch, LiesWhereTheFolderWouldBeMade) {
  EXPECT_EQ(NearestFolder(HostPath(folder_)).value(), folder_);
  EXPECT_EQ(NearestFolder(HostPath(folder_ / "a/b/c")).value(), folder_);
  EXPECT_EQ(NearestFolder(HostPath("/no/such")).value(), "/");
  const auto scratch = ProbeScratch::Make(HostPath(folder_ / "a/b"));
  ASSERT_TRUE(scratch) << scratch.error().message;
  EXPECT_EQ(scratch->path().value().parent_path(), folder_);
}

TEST_F(Scratch, GoesWithAllThatIsInIt) {
  {
    const auto scratch = ProbeScratch::Make(HostPath(folder_));
    ASSERT_TRUE(scratch) << scratch.error().message;
    fs::create_directories(scratch->path().value() / "x/y");
    EXPECT_EQ(Names().size(), 1u);
  }
  EXPECT_EQ(Names(), std::vector<std::string>());
}

TEST_F(Scratch, SweepsWhatAKilledOneLeftButNoLivingOne) {
  fs::create_directories(folder_ / ".catamaran-doctor-dead/x");
  const auto first = ProbeScratch::Make(HostPath(folder_));
  const auto second = ProbeScratch::Make(HostPath(folder_));
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(fs::exists(folder_ / ".catamaran-doctor-dead"));
  EXPECT_TRUE(fs::exists(first->path().value()));
  EXPECT_EQ(Names().size(), 2u);
}

TEST_F(Scratch, HoldsAnImageOfOneFile) {
  const auto scratch = ProbeScratch::Make(HostPath(folder_));
  ASSERT_TRUE(scratch);
  const auto written = scratch->WriteLayer();
  ASSERT_TRUE(written) << written.error().message;
  const fs::path blob = scratch->path().value() / kProbeLayer;
  const auto fd = OpenFile(blob, O_RDONLY);
  const auto tree = erofs::ReadTree(fd->get(), fs::file_size(blob));
  ASSERT_TRUE(tree) << tree.error().message;
  const auto* file = tree->Find(erofs::FileTree::kRoot, kProbeFile);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(tree->at(*file).size, sizeof(kProbeContent) - 1);
}

TEST_F(Scratch, IsRefusedWhereNoFolderIs) {
  const auto refused = ProbeScratch::Make(HostPath("/etc/passwd"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().system_errno, ENOTDIR);
}

}  // namespace
}  // namespace catamaran
