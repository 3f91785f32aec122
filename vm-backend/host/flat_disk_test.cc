#include "vm-backend/host/flat_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

VmDisk TwoExtents() {
  return {"image-1", {{HostPath("/images/meta"), 4096}, {HostPath("/images/layer"), 2 << 20}}};
}

TEST(FlatDisk, ListsItsExtentsInOrderAndInSectors) {
  const auto text = FlatDiskDescriptor(TwoExtents(), 7);
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("RW 8 FLAT \"/dev/fdset/7\" 0\nRW 4096 FLAT \"/dev/fdset/8\" 0\n"),
            std::string::npos);
  EXPECT_EQ(DiskCapacity(TwoExtents()), 4096u + (2 << 20));
}

TEST(FlatDisk, IsAFileForReadingOnly) {
  const auto file = FlatDiskFile("text");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(*ReadAll(file->get(), 100), "text");
  EXPECT_EQ(fcntl(file->get(), F_GETFL) & O_ACCMODE, O_RDONLY);
}

TEST(FlatDisk, RefusesWhatQemuWouldMisread) {
  struct Row {
    const char* name;
    VmDisk disk;
  };
  const Row rows[] = {
      {"half a sector", {"a", {{HostPath("/a"), 513}}}},
      {"an empty extent", {"a", {{HostPath("/a"), 0}}}},
      {"no extents", {"a", {}}},
      {"no serial", {"", {{HostPath("/a"), 512}}}},
      {"a serial that is cut off", {std::string(21, 'a'), {{HostPath("/a"), 512}}}},
      {"a serial with an odd character", {"a,b", {{HostPath("/a"), 512}}}},
  };
  for (const Row& row : rows) {
    const auto text = FlatDiskDescriptor(row.disk, 7);
    ASSERT_FALSE(text) << row.name;
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument) << row.name;
  }
}

}  // namespace
}  // namespace catamaran
