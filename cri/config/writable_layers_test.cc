#include "cri/config/writable_layers.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class WritableLayersTest : public testing::Test {
 protected:
  void SetUp() override {
    char root[] = "/tmp/writable-layers-XXXXXX";
    config_.root = HostPath(mkdtemp(root));
    ASSERT_TRUE(MakeDirectories(ImagesFolder(config_).value()));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(config_.root.value())); }
  Config config_;
};

TEST_F(WritableLayersTest, AreWhereTheImagesAre) {
  ASSERT_TRUE(MakeDirectories(PodsFolder(config_).value()));
  EXPECT_EQ(WritableLayers(config_).value(), ImagesFolder(config_).value());
}

TEST_F(WritableLayersTest, AreThePodsOwnOnAnotherFileSystem) {
  struct stat here, there;
  if (stat("/dev/shm", &there) != 0 || stat(config_.root.c_str(), &here) != 0 ||
      here.st_dev == there.st_dev)
    GTEST_SKIP() << "/dev/shm is no other file system than /tmp";
  std::filesystem::create_directory_symlink("/dev/shm", PodsFolder(config_).value());
  EXPECT_EQ(WritableLayers(config_).value(), PodsFolder(config_).value());
}

}  // namespace
}  // namespace catamaran
