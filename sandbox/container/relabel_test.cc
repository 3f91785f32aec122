#include "sandbox/container/relabel.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sandbox/kernel/security_modules.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLabel = "system_u:object_r:container_file_t:s0:c1,c2";

std::string LabelOf(const fs::path& path) {
  char label[256];
  const ssize_t length = lgetxattr(path.c_str(), "security.selinux", label, sizeof label);
  return length <= 0 ? "" : std::string(label, length - 1);
}

// The attribute is one that root may give also where no policy reads it.
TEST(Relabel, ReachesEverythingBelowAndNothingBeside) {
  if (KernelHasSelinux()) GTEST_SKIP() << "this host's policy need not know the test's label";
  const fs::path base = fs::temp_directory_path() / ("relabel-test-" + std::to_string(getpid()));
  fs::create_directories(base / "volume/deep/deeper");
  fs::create_directories(base / "outside");
  std::ofstream(base / "volume/deep/deeper/file") << "x";
  std::ofstream(base / "outside/file") << "x";
  fs::create_symlink(base / "outside", base / "volume/link");
  fs::create_symlink(base / "volume", base / "name");
  if (lsetxattr((base / "outside").c_str(), "security.selinux", "", 1, 0) != 0) {
    fs::remove_all(base);
    GTEST_SKIP() << "this file system, or user, cannot have labels";
  }
  const fs::path before = fs::current_path();
  const auto relabelled = RelabelTree(base / "name", kLabel);
  ASSERT_TRUE(relabelled) << relabelled.error().message;
  EXPECT_EQ(fs::current_path(), before);
  for (const char* path :
       {"volume", "volume/deep/deeper", "volume/deep/deeper/file", "volume/link"})
    EXPECT_EQ(LabelOf(base / path), kLabel) << path;
  for (const char* path : {"outside", "outside/file"}) EXPECT_EQ(LabelOf(base / path), "") << path;
  fs::remove_all(base);
}

}  // namespace
}  // namespace catamaran
