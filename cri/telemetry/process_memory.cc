#include "cri/telemetry/process_memory.h"

#include <charconv>
#include <string>
#include <string_view>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// "Private_Dirty:      1234 kB"
uint64_t KilobytesOf(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  const size_t digits = text.find_first_not_of(' ', at + name.size());
  if (digits == std::string_view::npos) return 0;
  uint64_t kilobytes = 0;
  std::from_chars(text.data() + digits, text.data() + text.size(), kilobytes);
  return kilobytes;
}

}  // namespace

Result<uint64_t> PrivateMemoryOf(pid_t process) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(fmt::format("/proc/{}/smaps_rollup", process)));
  uint64_t kilobytes = 0;
  for (const char* name : {"\nPrivate_Clean:", "\nPrivate_Dirty:", "\nSwap:"})
    kilobytes += KilobytesOf(text, name);
  return kilobytes * 1024;
}

}  // namespace catamaran
