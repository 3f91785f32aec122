#include "sandbox/container/relabel.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr const char* kAttribute = "security.selinux";

// By its name in the working directory: whoever shares the tree may exchange a folder above by a
// link.
Status Relabel(const FTSENT& entry, const std::string& label) {
  // With its ending zero, as the kernel and libselinux have it.
  const auto set = entry.fts_level == FTS_ROOTLEVEL ? setxattr : lsetxattr;
  if (set(entry.fts_accpath, kAttribute, label.c_str(), label.size() + 1, 0) == 0) return {};
  if (errno == EOPNOTSUPP || errno == ENOENT) return {};
  return FailWithErrno("give {} the label {}", entry.fts_path, label);
}

}  // namespace

Status RelabelRoot(int mount_fd, const std::string& label) {
  ASSIGN_OR_RETURN(const UniqueFd root, OpenFileAt(mount_fd, ".", O_RDONLY | O_DIRECTORY));
  if (fsetxattr(root.get(), kAttribute, label.c_str(), label.size() + 1, 0) == 0) return {};
  if (errno == EOPNOTSUPP) return {};
  return FailWithErrno("give it the label {}", label);
}

Status RelabelTree(const std::string& path, const std::string& label) {
  char* const roots[] = {const_cast<char*>(path.c_str()), nullptr};
  // It goes along by fchdir(2) and checks where it came to. The root itself may be a link: a
  // mount's source is followed too.
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_XDEV, nullptr), fts_close);
  if (walk == nullptr) return FailWithErrno("walk {}", path);
  errno = 0;
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (entry->fts_info == FTS_DP) continue;  // a folder's second visit
    const bool unreadable =
        entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS;
    if (unreadable && entry->fts_errno != ENOENT)
      return FailErrno(entry->fts_errno, fmt::format("relabel {}", entry->fts_path));
    if (!unreadable) RETURN_IF_ERROR(Relabel(*entry, label));
  }
  if (errno != 0) return FailWithErrno("walk {}", path);
  return {};
}

}  // namespace catamaran
