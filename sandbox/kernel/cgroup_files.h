#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

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

// Names of the sub-directories, no symlinks, sorted.
Result<std::vector<std::string>> ListCgroupDirectories(int directory_fd);

}  // namespace catamaran
