#include "vm-backend/host/flat_disk.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

VmDisk TwoExtents() {
  return {"image-1", {{HostPath("/images/meta"), 4096}, {HostPath("/images/layer"), 2 << 20}}};
}

TEST(FlatDisk, ListsItsExtentsInOrderAndInSectors) {
  const auto text = FlatDiskDescriptor(TwoExtents());
  ASSERT_TRUE(text);
  EXPECT_NE(text->find("RW 8 FLAT \"/images/meta\" 0\nRW 4096 FLAT \"/images/layer\" 0\n"),
            std::string::npos);
  EXPECT_EQ(DiskCapacity(TwoExtents()), 4096u + (2 << 20));
}

TEST(FlatDisk, RefusesWhatQemuWouldMisread) {
  struct Row {
    const char* name;
    VmDisk disk;
  };
  const Row rows[] = {
      {"a quote in a name", {"a", {{HostPath("/a\"b"), 512}}}},
      {"a line break in a name", {"a", {{HostPath("/a\nRW 1 FLAT \"/etc/shadow\" 0"), 512}}}},
      {"a relative name", {"a", {{HostPath("layer"), 512}}}},
      {"a name that is cut off", {"a", {{HostPath("/" + std::string(511, 'x')), 512}}}},
      {"half a sector", {"a", {{HostPath("/a"), 513}}}},
      {"an empty extent", {"a", {{HostPath("/a"), 0}}}},
      {"no extents", {"a", {}}},
      {"no serial", {"", {{HostPath("/a"), 512}}}},
      {"a serial that is cut off", {std::string(21, 'a'), {{HostPath("/a"), 512}}}},
      {"a serial with an odd character", {"a,b", {{HostPath("/a"), 512}}}},
  };
  for (const Row& row : rows) {
    const auto text = FlatDiskDescriptor(row.disk);
    ASSERT_FALSE(text) << row.name;
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument) << row.name;
  }
}

}  // namespace
}  // namespace catamaran
