#include "cri/pods/writable_limit.h"

#include <fcntl.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "sandbox/base/files.h"

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443  // Linux 5.14
#endif

namespace catamaran {
namespace {

// Numbers of people's own projects (/etc/projid) are small.
constexpr uint32_t kFirstProject = 1U << 30;

Status Quotactl(int fd, unsigned command, uint32_t id, void* argument) {
  const long result = syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, argument);
  if (result != 0) return FailWithErrno("quotactl");
  return {};
}

Result<UniqueFd> OpenFolder(const HostPath& folder) {
  return OpenFile(folder.value(), O_RDONLY | O_DIRECTORY);
}

// 30 bits of the id's 256 random ones.
Result<uint32_t> ProjectOf(const ContainerId& container) {
  uint32_t bits = 0;
  const std::string& id = container.value();
  const char* end = id.data() + std::min<size_t>(id.size(), 8);
  const auto [parsed, error] = std::from_chars(id.data(), end, bits, 16);
  if (error != std::errc() || parsed != end)
    return Fail(ErrorCode::kInternal, "container id {} is not hexadecimal", id);
  return kFirstProject | (bits & (kFirstProject - 1));
}

}  // namespace

Status CheckWritableLimits(const HostPath& folder) {
  ASSIGN_OR_RETURN(const auto file, OpenFolder(folder));
  fs_quota_statv state = {};
  state.qs_version = FS_QSTATV_VERSION1;
  constexpr uint16_t kNeeded = FS_QUOTA_PDQ_ACCT | FS_QUOTA_PDQ_ENFD;
  const auto asked = Quotactl(file.get(), Q_XGETQSTATV, 0, &state);
  if (asked && (state.qs_flags & kNeeded) == kNeeded) return {};
  return Fail(ErrorCode::kFailedPrecondition,
              "{} is on a file system that enforces no project quotas: must be xfs or ext4 (made "
              "with -O project,quota), mounted with the option prjquota{}{}",
              folder.string(), asked ? "" : ": ", asked ? "" : asked.error().message);
}

Status SetWritableLimit(const HostPath& folder, const ContainerId& container, uint64_t bytes) {
  ASSIGN_OR_RETURN(const uint32_t project, ProjectOf(container));
  ASSIGN_OR_RETURN(const auto file, OpenFolder(folder));
  if_dqblk quota = {};
  const auto known = Quotactl(file.get(), Q_GETQUOTA, project, &quota);
  // A number that was never used is unknown to xfs.
  if (!known && known.error().system_errno != ENOENT)
    return tl::unexpected(Error(known.error()).While("ask for the quota of " + folder.string()));
  if (known && quota.dqb_curspace > 0)
    return Fail(ErrorCode::kAlreadyExists, "project {} of {} has files already", project,
                folder.string());
  // The limit first: no moment without it.
  quota = {};
  quota.dqb_bhardlimit = (bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE;
  quota.dqb_valid = QIF_BLIMITS;
  RETURN_IF_ERROR(Quotactl(file.get(), Q_SETQUOTA, project, &quota));
  fsxattr attributes = {};
  if (ioctl(file.get(), FS_IOC_FSGETXATTR, &attributes) != 0)
    return FailWithErrno("read the project of {}", folder.string());
  attributes.fsx_projid = project;
  attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  if (ioctl(file.get(), FS_IOC_FSSETXATTR, &attributes) != 0)
    return FailWithErrno("make {} a project", folder.string());
  return {};
}

Status ForgetWritableLimit(const HostPath& folder, const ContainerId& container) {
  const auto project = ProjectOf(container);
  if (!project) return {};
  const auto file = OpenFolder(folder);
  if (!file && file.error().code == ErrorCode::kNotFound) return {};
  if (!file) return tl::unexpected(file.error());
  if_dqblk quota = {};
  const auto known = Quotactl(file->get(), Q_GETQUOTA, *project, &quota);
  if (!known || quota.dqb_bhardlimit == 0) return {};
  quota = {};
  quota.dqb_valid = QIF_BLIMITS;
  auto forgotten = Quotactl(file->get(), Q_SETQUOTA, *project, &quota);
  if (!forgotten)
    return tl::unexpected(
        std::move(forgotten).error().While("forget the quota of container " + container.value()));
  return {};
}

}  // namespace catamaran
