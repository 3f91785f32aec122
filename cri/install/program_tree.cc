#include "cri/install/program_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "cri/install/packed_disk.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

Status SyncDisk(const HostPath& folder) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(folder.value(), O_RDONLY | O_DIRECTORY));
  if (syncfs(fd.get()) != 0) return FailWithErrno("syncfs {}", folder.string());
  return {};
}

// Of one name in both trees.
Result<bool> EntriesAreEqual(const fs::path& one, const fs::path& other) {
  struct stat a, b;
  if (lstat(one.c_str(), &a) != 0) return FailWithErrno("lstat {}", one.string());
  if (lstat(other.c_str(), &b) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return FailWithErrno("lstat {}", other.string());
  }
  if (a.st_mode != b.st_mode) return false;
  std::error_code error;
  if (S_ISLNK(a.st_mode)) return fs::read_symlink(one, error) == fs::read_symlink(other, error);
  if (!S_ISREG(a.st_mode)) return true;
  if (a.st_size != b.st_size) return false;
  ASSIGN_OR_RETURN(const std::string content, ReadFile(one, size_t{1} << 30));
  ASSIGN_OR_RETURN(const std::string theirs, ReadFile(other, size_t{1} << 30));
  return content == theirs;
}

Result<size_t> CountEntries(const fs::path& folder) {
  std::error_code error;
  size_t count = 0;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  if (error) return FailErrno(error.value(), "list " + folder.string());
  return count;
}

}  // namespace

Result<bool> TreesAreEqual(const HostPath& one, const HostPath& other) {
  if (Exists(one.value()) != Exists(other.value())) return false;
  if (!Exists(one.value())) return true;
  std::error_code error;
  size_t count = 0;
  for (fs::recursive_directory_iterator entry(one.value(), error), end; !error && entry != end;
       entry.increment(error), ++count) {
    const fs::path name = entry->path().lexically_relative(one.value());
    ASSIGN_OR_RETURN(const bool equal, EntriesAreEqual(entry->path(), other.value() / name));
    if (!equal) return false;
  }
  if (error) return FailErrno(error.value(), "list " + one.string());
  if (Exists((one / kPackedDisk).value())) ++count;  // there it is unpacked too
  ASSIGN_OR_RETURN(const size_t theirs, CountEntries(other.value()));
  return count == theirs;
}

Status ReplaceTree(const HostPath& from, const HostPath& to) {
  const HostPath fresh(to.string() + ".new");
  RETURN_IF_ERROR(RemoveTree(fresh.value()));
  RETURN_IF_ERROR(MakeDirectories(to.value().parent_path(), 0755));
  std::error_code error;
  fs::copy(from.value(), fresh.value(),
           fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error)
    return FailErrno(error.value(), fmt::format("copy {} to {}", from.string(), fresh.string()));
  RETURN_IF_ERROR(UnpackDisk(fresh));
  // The folder's own mode is the copy's, whatever the umask is.
  if (chmod(fresh.c_str(), 0755) != 0) return FailWithErrno("chmod {}", fresh.string());
  RETURN_IF_ERROR(SyncDisk(fresh));
  const unsigned how = Exists(to.value()) ? RENAME_EXCHANGE : 0;
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, to.c_str(), how) != 0)
    return FailWithErrno("rename {} to {}", fresh.string(), to.string());
  return RemoveTree(fresh.value());
}

}  // namespace catamaran
