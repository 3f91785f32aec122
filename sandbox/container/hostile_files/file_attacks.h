#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace catamaran {

// An image, and the user of a container that is looked for in its files.
class FileAttacks : public testing::Test {
 protected:
  FileAttacks();
  ~FileAttacks() override;

  // Whether resolving a user ends at all where /etc/passwd is a FIFO. In a child: it may not.
  bool EndsWithAFifo();
  // By how much a process grows that resolves a user where /etc/passwd has so many bytes.
  uint64_t GrowthByPasswdOf(uint64_t bytes);
  // The uid of a user that only a file of the machine knows, to which /etc/passwd is a link; -1
  // where it is not found.
  int64_t UidOfTheMachinesFile();

 private:
  const std::filesystem::path folder_;
  const std::filesystem::path passwd_;
};

}  // namespace catamaran
