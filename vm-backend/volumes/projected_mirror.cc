#include "vm-backend/volumes/projected_mirror.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kData[] = "..data";
constexpr char kDataNext[] = "..data_next";
constexpr int kMostTries = 10;
constexpr int kMostDepth = 32;

Result<std::string> ReadLinkAt(int folder, const std::string& name) {
  char target[PATH_MAX];
  const ssize_t length = readlinkat(folder, name.c_str(), target, sizeof target);
  if (length < 0) return FailWithErrno("read the link {}", name);
  return std::string(target, length);
}

Result<std::vector<std::string>> NamesIn(int folder) {
  return ListDirectory(fmt::format("/proc/self/fd/{}", folder));
}

Result<UniqueFd> OpenFolderAt(int parent, const std::string& name) {
  return OpenFileAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Status TakeAttributes(int fd, const struct stat& status) {
  if (fchown(fd, status.st_uid, status.st_gid) != 0) return FailWithErrno("fchown");
  if (fchmod(fd, status.st_mode & 07777) != 0) return FailWithErrno("fchmod");
  const timespec times[2] = {status.st_atim, status.st_mtim};
  if (futimens(fd, times) != 0) return FailWithErrno("futimens");
  return {};
}

// Copies one folder of the source, within what is left of the limits.
class TreeCopy {
 public:
  explicit TreeCopy(const MirrorLimits& limits) : limits_(limits), left_(limits) {}

  Status Folder(int from_parent, int to_parent, const std::string& name, int depth = 0) {
    if (depth > kMostDepth)
      return Fail(ErrorCode::kFailedPrecondition, "folders are more than {} deep", kMostDepth);
    ASSIGN_OR_RETURN(const UniqueFd from, OpenFolderAt(from_parent, name));
    if (mkdirat(to_parent, name.c_str(), 0700) != 0) return FailWithErrno("mkdir {}", name);
    ASSIGN_OR_RETURN(const UniqueFd to, OpenFolderAt(to_parent, name));
    ASSIGN_OR_RETURN(const auto names, NamesIn(from.get()));
    for (const std::string& one : names) {
      if (left_.entries-- == 0)
        return Fail(ErrorCode::kResourceExhausted, "the volume has more than {} files",
                    limits_.entries);
      RETURN_IF_ERROR(Entry(from.get(), to.get(), one, depth));
    }
    struct stat status;
    if (fstat(from.get(), &status) != 0) return FailWithErrno("fstat");
    return TakeAttributes(to.get(), status);
  }

 private:
  Status Entry(int from, int to, const std::string& name, int depth) {
    struct stat status;
    if (fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return FailWithErrno("stat {}", name);
    if (S_ISDIR(status.st_mode)) return Folder(from, to, name, depth + 1);
    if (S_ISREG(status.st_mode)) return File(from, to, name);
    return Fail(ErrorCode::kFailedPrecondition, "\"{}\" is neither a file nor a folder", name);
  }

  Status File(int from, int to, const std::string& name) {
    ASSIGN_OR_RETURN(const UniqueFd source, OpenFileAt(from, name, O_RDONLY | O_NOFOLLOW));
    auto content = ReadAll(source.get(), left_.bytes);
    if (!content && content.error().code == ErrorCode::kOutOfRange)
      return Fail(ErrorCode::kResourceExhausted, "the volume has more than {} bytes",
                  limits_.bytes);
    if (!content) return tl::unexpected<Error>(std::move(content).error());
    left_.bytes -= content->size();
    ASSIGN_OR_RETURN(const UniqueFd target,
                     OpenFileAt(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600));
    RETURN_IF_ERROR(WriteAll(target.get(), *content));
    struct stat status;
    if (fstat(source.get(), &status) != 0) return FailWithErrno("fstat");
    return TakeAttributes(target.get(), status);
  }

  const MirrorLimits limits_;
  MirrorLimits left_;
};

// One pass over a volume; both folders are open and the target is locked.
class Mirror {
 public:
  Mirror(int source, int target, const GuestPath& target_path, const MirrorLimits& limits)
      : source_(source), target_(target), target_path_(target_path), limits_(limits) {}

  // kAborted where the source was swapped meanwhile.
  Status Pass() {
    ASSIGN_OR_RETURN(const std::string current, CurrentFolder());
    const auto ours = ReadLinkAt(target_, kData);
    const bool changed = !ours || *ours != current;
    if (changed) {
      // What a pass that was cut short left behind.
      RETURN_IF_ERROR(Remove(current));
      TreeCopy copy(limits_);
      auto copied = copy.Folder(source_, target_, current);
      const auto now = CurrentFolder();
      if (now && *now != current) copied = Fail(ErrorCode::kAborted, "swapped during the copy");
      if (!copied) {
        (void)Remove(current);
        return copied;
      }
      RETURN_IF_ERROR(Link(current, kData));
    }
    RETURN_IF_ERROR(FollowNames());
    RETURN_IF_ERROR(RemoveFormer(current));
    return FollowAttributes();
  }

 private:
  // A name beside "..data", never a way out.
  Result<std::string> CurrentFolder() const {
    auto name = ReadLinkAt(source_, kData);
    if (name && (!name->starts_with("..") || name->size() < 3 || name->size() > NAME_MAX ||
                 name->find('/') != std::string::npos || *name == kData || *name == kDataNext))
      return Fail(ErrorCode::kFailedPrecondition,
                  "..data leads to \"{}\", not to a folder beside it", *name);
    return name;
  }

  // Makes or replaces a link in one step.
  Status Link(const std::string& content, const std::string& name) const {
    if (unlinkat(target_, kDataNext, 0) != 0 && errno != ENOENT)
      return FailWithErrno("unlink {}", kDataNext);
    if (symlinkat(content.c_str(), target_, kDataNext) != 0)
      return FailWithErrno("symlink for {}", name);
    if (renameat(target_, kDataNext, target_, name.c_str()) != 0)
      return FailWithErrno("rename to {}", name);
    return {};
  }

  Status FollowNames() const {
    ASSIGN_OR_RETURN(const auto wanted, NamesIn(source_));
    if (wanted.size() > limits_.entries)
      return Fail(ErrorCode::kResourceExhausted, "the volume has more than {} names",
                  limits_.entries);
    ASSIGN_OR_RETURN(const auto present, NamesIn(target_));
    for (const std::string& name : wanted) {
      if (name.starts_with("..")) continue;
      const auto content = ReadLinkAt(source_, name);
      if (!content) continue;  // gone meanwhile, or no link: not of the atomic writer
      const auto ours = ReadLinkAt(target_, name);
      if (!ours || *ours != *content) RETURN_IF_ERROR(Link(*content, name));
    }
    for (const std::string& name : present)
      if (!name.starts_with("..") && !std::binary_search(wanted.begin(), wanted.end(), name))
        RETURN_IF_ERROR(Remove(name));
    return {};
  }

  // Only where they differ: who watches the folder would be told.
  Status FollowAttributes() const {
    struct stat wanted, present;
    if (fstat(source_, &wanted) != 0 || fstat(target_, &present) != 0)
      return FailWithErrno("fstat");
    if ((wanted.st_uid != present.st_uid || wanted.st_gid != present.st_gid) &&
        fchown(target_, wanted.st_uid, wanted.st_gid) != 0)
      return FailWithErrno("fchown");
    if ((wanted.st_mode & 07777) != (present.st_mode & 07777) &&
        fchmod(target_, wanted.st_mode & 07777) != 0)
      return FailWithErrno("fchmod");
    return {};
  }

  Status RemoveFormer(const std::string& current) const {
    ASSIGN_OR_RETURN(const auto present, NamesIn(target_));
    for (const std::string& name : present)
      if (name.starts_with("..") && name != kData && name != current) RETURN_IF_ERROR(Remove(name));
    return {};
  }

  Status Remove(const std::string& name) const { return RemoveTree(target_path_.value() / name); }

  const int source_;
  const int target_;
  const GuestPath& target_path_;
  const MirrorLimits limits_;
};

}  // namespace

Status MirrorProjected(const GuestPath& source, const GuestPath& target,
                       const MirrorLimits& limits) {
  ASSIGN_OR_RETURN(const UniqueFd from, OpenFile(source.value(), O_RDONLY | O_DIRECTORY));
  ASSIGN_OR_RETURN(const UniqueFd to, OpenFile(target.value(), O_RDONLY | O_DIRECTORY));
  if (flock(to.get(), LOCK_EX) != 0) return FailWithErrno("lock {}", target.string());
  Mirror mirror(from.get(), to.get(), target, limits);
  Status passed;
  for (int tries = 0; tries < kMostTries; ++tries) {
    passed = mirror.Pass();
    // A file that vanished under the copy is a swap too.
    if (passed ||
        (passed.error().code != ErrorCode::kAborted && passed.error().code != ErrorCode::kNotFound))
      return passed;
  }
  return Fail(ErrorCode::kFailedPrecondition, "it changes faster than it can be copied: {}",
              passed.error().message);
}

}  // namespace catamaran
