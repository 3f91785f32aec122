#include "vm-backend/host/image_disks.h"

#include <gtest/gtest.h>

#include "vm-backend/host/noting_machine_testing.h"

namespace catamaran {
namespace {

spec::RootfsSpec TwoLayers(const std::string& metadata = "/images/meta") {
  spec::RootfsSpec rootfs;
  rootfs.set_merged_metadata(metadata);
  rootfs.set_merged_metadata_bytes(4096);
  for (const char* blob : {"/images/a", "/images/b"}) {
    auto& layer = *rootfs.add_layers();
    layer.set_blob(blob);
    layer.set_size_bytes(2 << 20);
  }
  return rootfs;
}

TEST(ImageDisks, LaysMetadataAndLayersEndToEnd) {
  NotingMachine machine;
  ImageDisks disks(machine);
  disks.Acquire(TwoLayers(), [](Result<std::string>) {});
  ASSERT_EQ(machine.attached.size(), 1u);
  ASSERT_EQ(machine.attached[0].extents.size(), 3u);
  EXPECT_EQ(machine.attached[0].extents[0].file.string(), "/images/meta");
  EXPECT_EQ(machine.attached[0].extents[2].file.string(), "/images/b");
}

TEST(ImageDisks, ContainersOfOneImageShareItsDiskUntilTheLastIsGone) {
  NotingMachine machine;
  ImageDisks disks(machine);
  std::string first, second;
  disks.Acquire(TwoLayers(), [&](Result<std::string> serial) { first = *serial; });
  disks.Acquire(TwoLayers(), [&](Result<std::string> serial) { second = *serial; });
  ASSERT_EQ(machine.answers.size(), 1u);
  machine.answers[0]({});
  EXPECT_EQ(first, second);
  EXPECT_FALSE(first.empty());
  disks.Release(first, [](Status) {});
  EXPECT_TRUE(machine.detached.empty());
  disks.Release(first, [](Status) {});
  EXPECT_EQ(machine.detached, std::vector<std::string>{first});
}

// The guest may still be forgetting the old disk of that name.
TEST(ImageDisks, NeverUsesASerialTwice) {
  NotingMachine machine;
  ImageDisks disks(machine);
  disks.Acquire(TwoLayers(), [](Result<std::string>) {});
  machine.answers[0]({});
  disks.Release(machine.attached[0].serial, [](Status) {});
  disks.Acquire(TwoLayers(), [](Result<std::string>) {});
  ASSERT_EQ(machine.attached.size(), 2u);
  EXPECT_NE(machine.attached[0].serial, machine.attached[1].serial);
}

TEST(ImageDisks, TellsEveryWaiterOfAFailureAndTriesAgainLater) {
  NotingMachine machine;
  ImageDisks disks(machine);
  int failures = 0;
  for (int i = 0; i < 2; ++i)
    disks.Acquire(TwoLayers(), [&](Result<std::string> serial) { failures += !serial; });
  machine.answers[0](Fail(ErrorCode::kInternal, "no"));
  EXPECT_EQ(failures, 2);
  disks.Acquire(TwoLayers(), [](Result<std::string>) {});
  EXPECT_EQ(machine.attached.size(), 2u);
}

TEST(ImageDisks, RefuseAnImageWithoutMergedMetadata) {
  NotingMachine machine;
  ImageDisks disks(machine);
  ErrorCode code{};
  disks.Acquire(TwoLayers(""), [&](Result<std::string> serial) { code = serial.error().code; });
  EXPECT_EQ(code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(machine.attached.empty());
}

}  // namespace
}  // namespace catamaran
