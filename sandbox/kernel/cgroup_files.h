#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/cgroup.h"

// Reading a group's files: shared by the parts of sandbox/kernel/cgroup, of no use elsewhere.
namespace catamaran {

// The file's text without its last newline.
Result<std::string> ReadCgroupFile(int directory_fd, const std::string& name);

// The same for a file that the kernel shows as one record (seq_file's single_open): numbers and
// statistics, not lists of processes. Such a file ends where a read(2) comes back short.
Result<std::string> ReadCgroupValue(int directory_fd, const std::string& name);
// Text that is one number; "max" and what exceeds int64 (v1's "no limit") is the largest uint64.
// Nothing where it is something else.
std::optional<uint64_t> ParseCgroupNumber(std::string_view text);
// The number after `key` in text of lines "key number".
std::optional<uint64_t> FindCgroupKey(std::string_view text, std::string_view key);

// One reading's view of a group in a hierarchy, through files that stay open. Absent files are
// empty, and 0.
struct CgroupSource {
  CgroupStatFiles& files;
  int directory;  // -1: nothing is there

  std::string TextOrEmpty(const char* file) const;
  uint64_t NumberOr0(const char* file) const;
  // 0 where there is no limit.
  uint64_t LimitOr0(const char* file) const;
};

// The lines of a .pressure file; nothing where the kernel does not account for it.
std::optional<spec::Pressure> ParsePressure(const std::string& text);
// Adds what io.stat (v2) says of each device, and the files of v1: bytes and operations.
void ParseIoStat(std::string_view text, spec::IoStats& io);
enum class IoQuantity { kBytes, kOperations };
void ParseThrottleFile(std::string_view text, IoQuantity quantity, spec::IoStats& io);

// Names of the sub-directories, no symlinks, sorted.
Result<std::vector<std::string>> ListCgroupDirectories(int directory_fd);

}  // namespace catamaran
