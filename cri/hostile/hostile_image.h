#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace catamaran {

// CVE-2022-23648: volumes of an image ("Volumes" of its configuration) that lead out of it.
class HostileImage : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  // VOLUMEs that the image has, by what they are.
  std::vector<std::string> WaysOut() const;
  // Whether a container of such an image is given the victim, a folder of the node that nobody has
  // asked for. Where the image is unpacked is its id.
  bool ShowsTheNode(const std::string& volume, bool in_vm) const;

 private:
  std::filesystem::path folder_, victim_, unpacked_;
};

}  // namespace catamaran
