#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Small file helpers. All open with O_CLOEXEC, retry EINTR, and name the path in their errors.
// Paths are our own, trusted ones: what a container, an image or a guest can influence goes
// through sandbox/kernel/safe_path.h instead.

Result<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, mode_t mode = 0);
Result<UniqueFd> OpenFileAt(int directory_fd, const std::string& name, int flags, mode_t mode = 0);

// The whole file, at most `limit` bytes: a larger one is kOutOfRange.
Result<std::string> ReadFile(const std::filesystem::path& path, size_t limit = 64 << 20);
Result<std::string> ReadFileAt(int directory_fd, const std::string& name, size_t limit = 64 << 20);
Result<std::string> ReadAll(int fd, size_t limit);

// One write(2) into an existing file: for /proc, /sys and cgroup files.
Status WriteExisting(const std::filesystem::path& path, std::string_view content);
Status WriteExistingAt(int directory_fd, const std::string& name, std::string_view content);

Status WriteAll(int fd, std::string_view content);

enum class Durability {
  kProcessCrash,  // survives the process, not a power cut (run directory, tmpfs)
  kPowerCut,      // file and directory are fsynced
};
// Replaces path by a new file with this content: readers see the old or the new one, whole.
Status ReplaceFile(const std::filesystem::path& path, std::string_view content, mode_t mode,
                   Durability durability);

Status MakeDirectories(const std::filesystem::path& path, mode_t mode = 0700);
// Removes a file or an empty directory; absent is fine.
Status RemoveIfExists(const std::filesystem::path& path);
// Removes a tree without following symlinks and without crossing into another mount; absent is
// fine.
Status RemoveTree(const std::filesystem::path& path);
// Names in a directory, without . and .., sorted.
Result<std::vector<std::string>> ListDirectory(const std::filesystem::path& path);
bool Exists(const std::filesystem::path& path);  // does not follow a final symlink

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
Result<Pipe> MakePipe(int flags = 0);  // O_CLOEXEC is always added
Status SetNonBlocking(int fd);

// Kernel's boot id (/proc/sys/kernel/random/boot_id), without the newline.
Result<std::string> ReadBootId();

}  // namespace catamaran
