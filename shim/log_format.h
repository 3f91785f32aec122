#pragma once

#include <time.h>

#include <string>
#include <string_view>

namespace catamaran {

// The kubelet's log format (CRI, "container log"): every line of output becomes
//   2026-01-02T03:04:05.123456789Z stdout F the line
// and a longer one is cut into pieces of kMaxLogContent bytes tagged P, the last one F.
inline constexpr size_t kMaxLogContent = 16384;

// Turns one stream's bytes, as they come, into whole records. Pure; holds at most one unfinished
// piece. A carriage return before the newline is dropped, an unfinished line at the end is tagged
// P: both as containerd does and the kubelet's reader expects.
class LogFormatter {
 public:
  explicit LogFormatter(std::string_view stream) : stream_(stream) {}

  // Appends to `records` what is complete now; all of it carries this time.
  void Append(std::string_view bytes, const timespec& now, std::string& records);
  // What is left when the stream ends, or its process did.
  void Finish(const timespec& now, std::string& records);

 private:
  void Record(char tag, std::string_view content, std::string& records);
  void Stamp(const timespec& now);

  const std::string_view stream_;  // "stdout", "stderr": literals
  std::string unfinished_;
  std::string prefix_;  // "<time> <stream> "
  time_t stamped_second_ = -1;
};

}  // namespace catamaran
