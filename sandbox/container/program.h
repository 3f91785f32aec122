#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Arguments and environment as execve(2) takes them, made before the credentials change.
class ProgramImage {
 public:
  // HOME is `home` unless the environment names one.
  ProgramImage(const spec::ProcessSpec& process, const std::string& home);

  // Looks the program up in the PATH of its own environment and becomes it. Returns only the error:
  // kNotFound and kPermissionDenied name the program.
  Error Execute() const;

 private:
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
};

}  // namespace catamaran
