#pragma once

#include <string>
#include <vector>

#include "cri/pods/testing/real_shim.h"

namespace catamaran {

// CVE-2022-31030: commands that never come to an end of their output.
class HostileCommand : public PodsTest {
 protected:
  void SetUp() override;
  // How many bytes the daemon kept of a command that prints four times what it may.
  size_t KeptOfAFlood();
  // Whether the call ends, in five seconds, though a child of the command holds its output open.
  bool EndsDespiteAChild();

  std::string container_;
};

// CVE-2025-0750: names of logs that lead out of the folder that they belong in. Real shims write
// them.
class HostileLog : public RealShim {
 protected:
  static std::vector<std::string> WaysOut();
  // Whether a file was made outside.
  bool WriteOutside(const std::string& way);
};

}  // namespace catamaran
