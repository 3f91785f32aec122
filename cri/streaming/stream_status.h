#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// What the error stream says at the end: from version 4 on a metav1.Status as JSON, before that
// nothing of a success and the plain text of a failure.
std::string StatusOfExit(int version, int exit_code);
std::string StatusOfError(int version, const Error& error);

struct TerminalSize {
  uint16_t columns = 0, rows = 0;
};

// Reads the resize stream: JSON objects {"Width":80,"Height":24} one after another, cut anywhere.
class TerminalSizeReader {
 public:
  // The last size in what has come, if there is one; what is no size is skipped.
  std::optional<TerminalSize> Read(std::string_view bytes);

 private:
  std::string object_;
};

}  // namespace catamaran
