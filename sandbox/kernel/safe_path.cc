#include "sandbox/kernel/safe_path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <vector>

namespace catamaran {
namespace {

// As many as the kernel follows in one lookup (path_resolution(7)).
constexpr int kMaximumLinks = 40;
constexpr int kMaximumRetries = 128;

// The walk of OpenOrCreateInRoot: the folders it went through, as descriptors, and the names that
// are left. No step follows a link, so nothing that is renamed meanwhile leads out of the root.
class CreatingWalk {
 public:
  CreatingWalk(int root_fd, TargetKind kind) : root_fd_(root_fd), kind_(kind) {}

  Result<UniqueFd> Run(std::string_view path) {
    Prepend(path);
    while (!names_.empty()) {
      const std::string name = std::move(names_.front());
      names_.pop_front();
      if (name == "..") {
        if (!folders_.empty()) folders_.pop_back();
        continue;
      }
      ASSIGN_OR_RETURN(bool reached, Step(name));
      if (reached) return std::move(file_);
    }
    if (kind_ == TargetKind::kFile)
      return Fail(ErrorCode::kFailedPrecondition, "{} is a directory, not a file", path);
    if (!folders_.empty()) return std::move(folders_.back());
    UniqueFd root(fcntl(root_fd_, F_DUPFD_CLOEXEC, 0));
    if (!root.valid()) return FailWithErrno("duplicate the root's descriptor");
    return root;
  }

 private:
  int current() const { return folders_.empty() ? root_fd_ : folders_.back().get(); }

  void Prepend(std::string_view path) {
    std::vector<std::string> parts;
    while (!path.empty()) {
      const auto slash = path.find('/');
      const std::string_view part = path.substr(0, slash);
      if (!part.empty() && part != ".") parts.emplace_back(part);
      path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    }
    names_.insert(names_.begin(), parts.begin(), parts.end());
  }

  Status Create(const std::string& name) {
    if (names_.empty() && kind_ == TargetKind::kFile) {
      UniqueFd file(openat(current(), name.c_str(),
                           O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644));
      if (!file.valid() && errno != EEXIST) return FailWithErrno("create {}", name);
      return {};
    }
    if (mkdirat(current(), name.c_str(), 0755) != 0 && errno != EEXIST)
      return FailWithErrno("mkdir {}", name);
    return {};
  }

  // Goes through one name; true when it was the file that is looked for.
  Result<bool> Step(const std::string& name) {
    UniqueFd found(openat(current(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!found.valid() && errno == ENOENT) {
      RETURN_IF_ERROR(Create(name));
      found.Reset(openat(current(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!found.valid()) return FailWithErrno("open {}", name);
    struct stat status;
    if (fstat(found.get(), &status) != 0) return FailWithErrno("stat {}", name);
    if (S_ISLNK(status.st_mode)) {
      RETURN_IF_ERROR(Follow(found.get(), name));
      return false;
    }
    if (S_ISDIR(status.st_mode)) {
      folders_.push_back(std::move(found));
      return false;
    }
    if (!names_.empty() || kind_ == TargetKind::kDirectory)
      return Fail(ErrorCode::kFailedPrecondition, "{} is not a directory", name);
    file_ = std::move(found);
    return true;
  }

  Status Follow(int link_fd, const std::string& name) {
    if (++links_ > kMaximumLinks) return FailErrno(ELOOP, "follow " + name);
    char target[PATH_MAX];
    const ssize_t length = readlinkat(link_fd, "", target, sizeof target);
    if (length < 0) return FailWithErrno("read the link {}", name);
    if (length > 0 && target[0] == '/') {
      // Only magic links of procfs say an absolute path.
      struct statfs filesystem;
      if (fstatfs(link_fd, &filesystem) != 0) return FailWithErrno("statfs {}", name);
      if (filesystem.f_type == PROC_SUPER_MAGIC) return FailErrno(ELOOP, "follow " + name);
      folders_.clear();
    }
    Prepend(std::string_view(target, length));
    return {};
  }

  const int root_fd_;
  const TargetKind kind_;
  std::deque<std::string> names_;
  std::vector<UniqueFd> folders_;
  UniqueFd file_;
  int links_ = 0;
};

}  // namespace

Result<UniqueFd> OpenInRoot(int root_fd, std::string_view path, int flags) {
  const std::string text(path.empty() ? "." : path);
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < kMaximumRetries; ++attempt) {
    const long fd = syscall(SYS_openat2, root_fd, text.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return FailWithErrno("open {} below the root", text);
}

Result<UniqueFd> OpenOrCreateInRoot(int root_fd, std::string_view path, TargetKind kind) {
  auto found = OpenInRoot(root_fd, path, O_PATH);
  if (!found) {
    if (found.error().system_errno != ENOENT) return found;
    auto made = CreatingWalk(root_fd, kind).Run(path);
    if (!made) return tl::unexpected(std::move(made).error().While(fmt::format("make {}", path)));
    return made;
  }
  struct stat status;
  if (fstat(found->get(), &status) != 0) return FailWithErrno("stat {}", path);
  if (S_ISDIR(status.st_mode) != (kind == TargetKind::kDirectory))
    return Fail(ErrorCode::kFailedPrecondition, "{} is {}a directory", path,
                S_ISDIR(status.st_mode) ? "" : "not ");
  return found;
}

Result<UniqueFd> OpenOrCreateRealDirectory(int root_fd, const std::string& name) {
  if (mkdirat(root_fd, name.c_str(), 0755) != 0 && errno != EEXIST)
    return FailWithErrno("mkdir /{}", name);
  UniqueFd folder(openat(root_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return FailWithErrno("open /{}", name);
  struct stat status;
  if (fstat(folder.get(), &status) != 0) return FailWithErrno("stat /{}", name);
  if (!S_ISDIR(status.st_mode))
    return Fail(ErrorCode::kInvalidArgument,
                "the image's /{} is {}; it must be a directory or absent", name,
                S_ISLNK(status.st_mode) ? "a symbolic link" : "not a directory");
  return folder;
}

}  // namespace catamaran
