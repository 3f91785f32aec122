#include "sandbox/base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "sandbox/base/abort_step.h"

namespace catamaran {
namespace {

template <typename Call>
auto RetryInterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

Status RemoveTreeAt(int parent_fd, const std::string& name, dev_t device) {
  if (unlinkat(parent_fd, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return FailWithErrno("unlink {}", name);
  auto directory = OpenFileAt(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory) {
    if (directory.error().system_errno == ENOENT) return {};
    return tl::unexpected(std::move(directory).error());
  }
  struct stat status;
  if (fstat(directory->get(), &status) != 0) return FailWithErrno("fstat {}", name);
  if (status.st_dev != device)
    return Fail(ErrorCode::kFailedPrecondition, "{} is a mount point", name);
  const int scan_fd = fcntl(directory->get(), F_DUPFD_CLOEXEC, 0);
  std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(scan_fd), closedir);
  if (!stream) return FailWithErrno("fdopendir {}", name);
  while (const dirent* entry = readdir(stream.get())) {
    const std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    RETURN_IF_ERROR(RemoveTreeAt(directory->get(), child, device));
  }
  if (unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return FailWithErrno("rmdir {}", name);
  return {};
}

Status SyncDirectory(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(auto fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return FailWithErrno("fsync {}", directory.string());
  return {};
}

}  // namespace

Result<UniqueFd> OpenFile(const std::filesystem::path& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path.string(), flags, mode);
}

Result<UniqueFd> OpenFileAt(int directory_fd, const std::string& name, int flags, mode_t mode) {
  const int fd =
      RetryInterrupted([&] { return openat(directory_fd, name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return FailWithErrno("open {}", name);
  return UniqueFd(fd);
}

Result<std::string> ReadAll(int fd, size_t limit) {
  std::string content;
  char buffer[16384];
  while (true) {
    const ssize_t count = RetryInterrupted([&] { return read(fd, buffer, sizeof buffer); });
    if (count < 0) return FailWithErrno("read");
    if (count == 0) return content;
    if (content.size() + count > limit)
      return Fail(ErrorCode::kOutOfRange, "larger than {} bytes", limit);
    content.append(buffer, count);
  }
}

Result<std::string> ReadFile(const std::filesystem::path& path, size_t limit) {
  return ReadFileAt(AT_FDCWD, path.string(), limit);
}

Result<std::string> ReadFileAt(int directory_fd, const std::string& name, size_t limit) {
  ASSIGN_OR_RETURN(auto fd, OpenFileAt(directory_fd, name, O_RDONLY));
  auto content = ReadAll(fd.get(), limit);
  if (!content) return tl::unexpected(std::move(content).error().While("read " + name));
  return content;
}

Status WriteExisting(const std::filesystem::path& path, std::string_view content) {
  return WriteExistingAt(AT_FDCWD, path.string(), content);
}

Status WriteExistingAt(int directory_fd, const std::string& name, std::string_view content) {
  ASSIGN_OR_RETURN(auto fd, OpenFileAt(directory_fd, name, O_WRONLY));
  const ssize_t count =
      RetryInterrupted([&] { return write(fd.get(), content.data(), content.size()); });
  if (count < 0) return FailWithErrno("write \"{}\" to {}", content, name);
  if (static_cast<size_t>(count) != content.size())
    return Fail(ErrorCode::kInternal, "write to {}: {} of {} bytes", name, count, content.size());
  return {};
}

Status WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count =
        RetryInterrupted([&] { return write(fd, content.data(), content.size()); });
    if (count < 0) return FailWithErrno("write");
    content.remove_prefix(count);
  }
  return {};
}

Status ReplaceFile(const std::filesystem::path& path, std::string_view content, mode_t mode,
                   Durability durability) {
  const std::filesystem::path temporary = path.string() + ".new";
  {
    ASSIGN_OR_RETURN(auto fd, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
    if (auto written = WriteAll(fd.get(), content); !written)
      return tl::unexpected(std::move(written).error().While(temporary.string()));
    if (durability == Durability::kPowerCut && fsync(fd.get()) != 0)
      return FailWithErrno("fsync {}", temporary.string());
  }
  AbortStep();
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return FailWithErrno("rename {} to {}", temporary.string(), path.string());
  AbortStep();
  if (durability == Durability::kPowerCut) return SyncDirectory(path.parent_path());
  return {};
}

Status MakeDirectories(const std::filesystem::path& path, mode_t mode) {
  if (path.has_parent_path() && path != path.root_path() && !Exists(path.parent_path()))
    RETURN_IF_ERROR(MakeDirectories(path.parent_path(), mode));
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return FailWithErrno("mkdir {}", path.string());
  return {};
}

Status RemoveIfExists(const std::filesystem::path& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return FailWithErrno("unlink {}", path.string());
  if (rmdir(path.c_str()) != 0 && errno != ENOENT) return FailWithErrno("rmdir {}", path.string());
  return {};
}

Status RemoveTree(const std::filesystem::path& path) {
  auto parent = OpenFile(path.parent_path(), O_RDONLY | O_DIRECTORY);
  if (!parent) {
    if (parent.error().system_errno == ENOENT) return {};
    return tl::unexpected(std::move(parent).error());
  }
  struct stat status;
  if (fstat(parent->get(), &status) != 0) return FailWithErrno("fstat {}", path.string());
  auto removed = RemoveTreeAt(parent->get(), path.filename().string(), status.st_dev);
  if (!removed) return tl::unexpected(std::move(removed).error().While("remove " + path.string()));
  return {};
}

Result<std::vector<std::string>> ListDirectory(const std::filesystem::path& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(path.c_str()), closedir);
  if (!stream) return FailWithErrno("open directory {}", path.string());
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool Exists(const std::filesystem::path& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

Result<Pipe> MakePipe(int flags) {
  int fds[2];
  if (pipe2(fds, flags | O_CLOEXEC) != 0) return FailWithErrno("pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Status SetNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return FailWithErrno("O_NONBLOCK");
  return {};
}

Result<std::string> ReadBootId() {
  ASSIGN_OR_RETURN(auto text, ReadFile("/proc/sys/kernel/random/boot_id", 64));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace catamaran
