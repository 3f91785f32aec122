#include "vm-backend/host/guest_files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace catamaran {
namespace {

class GuestFiles : public ::testing::Test {
 protected:
  GuestFiles() {
    std::string pattern = std::filesystem::temp_directory_path() / "guest_files_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~GuestFiles() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& content) {
    const std::string path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::filesystem::path folder_;
};

// A setup header of x86's boot protocol: magic at 0x202, the version's offset less 0x200 at 0x20e.
std::string KernelHead(uint16_t version_offset) {
  std::string head(0x400, '\0');
  head[0x1f1] = 1;
  head.replace(0x202, 4, "HdrS");
  head[0x20e] = static_cast<char>(version_offset & 0xff);
  head[0x20f] = static_cast<char>(version_offset >> 8);
  head.replace(0x300, 20, "6.1.0-42-amd64 (me@h");
  return head;
}

#if defined(__x86_64__)
TEST_F(GuestFiles, AKernelTellsItsVersion) {
  const std::string path = Write(KernelHead(0x100));
  EXPECT_EQ(LookAtKernel(path).value(), path + ": Linux 6.1.0-42-amd64, 0.0 MB");
}

TEST_F(GuestFiles, AVersionBeyondTheFileIsNoHarm) {
  EXPECT_TRUE(LookAtKernel(Write(KernelHead(0xffff))));
}

TEST_F(GuestFiles, AKernelThatIsNotWholeIsRefused) {
  std::string head = KernelHead(0x100);
  head[0x1f4] = 2;  // 32 bytes of kernel
  const auto cut = LookAtKernel(Write(head + std::string(31, 'k')));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::kDataLoss);
  EXPECT_TRUE(LookAtKernel(Write(head + std::string(32, 'k'))));
}

TEST_F(GuestFiles, WhatIsNoKernelIsRefused) {
  for (const auto& content : {std::string(), std::string("#!/bin/sh\n"), std::string(8192, 'x'),
                              KernelHead(0).substr(0, 0x205), KernelHead(0).substr(0, 0x206),
                              KernelHead(0).substr(0, 0x20f)})
    EXPECT_FALSE(LookAtKernel(Write(content))) << content.size();
}
#endif

TEST_F(GuestFiles, AnInitramfsTellsItsCompression) {
  EXPECT_NE(LookAtInitramfs(Write("\x1f\x8b rest")).value().find("gzip"), std::string::npos);
  EXPECT_NE(LookAtInitramfs(Write("070701 rest")).value().find("cpio"), std::string::npos);
  EXPECT_FALSE(LookAtInitramfs(Write("ELF")));
  EXPECT_FALSE(LookAtInitramfs(Write("")));
}

TEST_F(GuestFiles, AWritableDiskIsFormatted) {
  std::string disk(4096, '\0');
  EXPECT_FALSE(LookAtWritableDisk(Write(disk)));
  disk.replace(1024 + 56, 2, "\x53\xef");
  EXPECT_TRUE(LookAtWritableDisk(Write(disk)));
}

TEST_F(GuestFiles, WhatIsNotThereIsNamed) {
  const auto absent = LookAtKernel(folder_ / "none");
  ASSERT_FALSE(absent);
  EXPECT_NE(absent.error().message.find("none"), std::string::npos);
  EXPECT_FALSE(LookAtKernel(folder_));
  EXPECT_FALSE(LookAtKernel(""));
}

}  // namespace
}  // namespace catamaran
