#include "sandbox/kernel/cgroup_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {

Result<std::string> ReadCgroupFile(int directory_fd, const std::string& name) {
  ASSIGN_OR_RETURN(auto text, ReadFileAt(directory_fd, name, 16 << 20));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<std::string> ReadCgroupValue(int directory_fd, const std::string& name) {
  ASSIGN_OR_RETURN(auto file, OpenFileAt(directory_fd, name, O_RDONLY));
  std::string text;
  char buffer[4096];
  ssize_t count = sizeof buffer;
  while (count == sizeof buffer) {
    count = read(file.get(), buffer, sizeof buffer);
    if (count < 0) return FailWithErrno("read {}", name);
    text.append(buffer, count);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

namespace {
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}
}  // namespace

std::optional<uint64_t> ParseCgroupNumber(std::string_view text) {
  constexpr auto kNoLimit = std::numeric_limits<uint64_t>::max();
  if (text == "max") return kNoLimit;
  const auto value = ParseNumber(text);
  // v1 shows "no limit" as the largest multiple of a page below 2^63.
  if (value && *value > (uint64_t{1} << 62)) return kNoLimit;
  return value;
}

std::optional<uint64_t> FindCgroupKey(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ')
      return ParseNumber(line.substr(key.size() + 1));
  }
  return std::nullopt;
}

Result<std::vector<std::string>> ListCgroupDirectories(int directory_fd) {
  // A description of its own: reading moves the offset that dup(2) would share.
  ASSIGN_OR_RETURN(auto scan, OpenFileAt(directory_fd, ".", O_RDONLY | O_DIRECTORY));
  std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(scan.get()), closedir);
  if (!stream) return FailWithErrno("list groups");
  (void)scan.Release();  // closedir closes it
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status;
    if (entry->d_type == DT_DIR ||
        (entry->d_type == DT_UNKNOWN &&
         fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(status.st_mode)))
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace catamaran
