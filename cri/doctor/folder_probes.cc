#include "cri/doctor/folder_probes.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cri/doctor/scratch.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

// statfs(2); those that linux/magic.h lacks by number.
constexpr std::pair<long, const char*> kFilesystems[] = {{EXT4_SUPER_MAGIC, "ext4"},
                                                         {XFS_SUPER_MAGIC, "xfs"},
                                                         {BTRFS_SUPER_MAGIC, "btrfs"},
                                                         {TMPFS_MAGIC, "tmpfs"},
                                                         {RAMFS_MAGIC, "ramfs"},
                                                         {OVERLAYFS_SUPER_MAGIC, "overlayfs"},
                                                         {NFS_SUPER_MAGIC, "nfs"},
                                                         {FUSE_SUPER_MAGIC, "fuse"},
                                                         {0x2fc12fc1, "zfs"},
                                                         {F2FS_SUPER_MAGIC, "f2fs"},
                                                         {EROFS_SUPER_MAGIC_V1, "erofs"},
                                                         {SQUASHFS_MAGIC, "squashfs"}};

// The kubelet's hard eviction thresholds: imagefs.available and nodefs.inodesFree.
constexpr uint64_t kLeastFreePercent = 15, kLeastInodesPercent = 5;
constexpr uint64_t kNoSpace = 100 << 20;

bool IsInMemory(long magic) { return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC; }

std::string FilesystemName(long magic) {
  for (const auto& [number, name] : kFilesystems)
    if (number == magic) return name;
  return fmt::format("file system {:#x}", magic);
}

double Gibibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

Result<Finding> TryUser() {
  if (geteuid() == 0) return Works("uid 0");
  return Fail(ErrorCode::kPermissionDenied, "uid {}", geteuid());
}

// "/var/lib/catamaran on ext4", or where it would be made.
Result<std::string> Place(const HostPath& folder, long* magic) {
  const HostPath nearest = NearestFolder(folder);
  struct statfs status;
  if (statfs(nearest.c_str(), &status) != 0) return FailWithErrno("statfs {}", nearest.string());
  *magic = status.f_type;
  struct stat kind;
  if (stat(nearest.c_str(), &kind) != 0 || !S_ISDIR(kind.st_mode))
    return Fail(ErrorCode::kFailedPrecondition, "{} is no folder", nearest.string());
  const std::string there = nearest == folder ? "" : ", to be made in " + nearest.string();
  return fmt::format("{} on {}{}", folder.string(), FilesystemName(*magic), there);
}

Status TryToWrite(const HostPath& folder) {
  ASSIGN_OR_RETURN(const ProbeScratch scratch, ProbeScratch::Make(folder));
  return ReplaceFile((scratch.path() / "file").value(), "content", 0600, Durability::kPowerCut);
}

Result<Finding> TryRoot(const HostPath& root) {
  long magic = 0;
  ASSIGN_OR_RETURN(const std::string place, Place(root, &magic));
  RETURN_IF_ERROR(TryToWrite(root));
  if (!IsInMemory(magic)) return Works(place);
  return Finding{"", FindingStatus::kDegraded, place,
                 "images take memory, and are gone after a boot",
                 "root: a folder on ext4, xfs or btrfs, in the configuration"};
}

Result<Finding> TryRun(const HostPath& run) {
  long magic = 0;
  ASSIGN_OR_RETURN(const std::string place, Place(run, &magic));
  RETURN_IF_ERROR(TryToWrite(run));
  struct stat status;
  if (stat(run.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    return Finding{"", FindingStatus::kDegraded,
                   fmt::format("{}, mode {:o}", place, status.st_mode & 07777),
                   "others on this host may reach the daemon's sockets",
                   fmt::format("chmod 700 {}", run.string())};
  if (IsInMemory(magic)) return Works(place);
  return Finding{"", FindingStatus::kDegraded, place,
                 "each start of a pod waits for the disk, and records outlive a boot",
                 "run: a folder on tmpfs, such as /run/catamaran, in the configuration"};
}

Result<Finding> TrySpace(const HostPath& root) {
  const HostPath folder = NearestFolder(root);
  struct statvfs status;
  if (statvfs(folder.c_str(), &status) != 0) return FailWithErrno("statvfs {}", folder.string());
  const uint64_t free = uint64_t{status.f_bavail} * status.f_frsize;
  const uint64_t total = uint64_t{status.f_blocks} * status.f_frsize;
  const uint64_t inodes_percent =
      status.f_files == 0 ? 100 : uint64_t{status.f_favail} * 100 / status.f_files;
  Finding finding = Works(fmt::format("{:.1f} of {:.1f} GiB free, {}% of inodes", Gibibytes(free),
                                      Gibibytes(total), inodes_percent));
  if (free * 100 >= total * kLeastFreePercent && inodes_percent >= kLeastInodesPercent &&
      free >= kNoSpace)
    return finding;
  finding.status = free < kNoSpace ? FindingStatus::kMissing : FindingStatus::kDegraded;
  finding.meaning = free < kNoSpace ? "no image can be pulled, no container can write"
                                    : "the kubelet removes images and evicts pods below 15% of the "
                                      "space or 5% of the inodes";
  finding.remedy =
      fmt::format("remove what is not needed from the disk of {}, or enlarge it", folder.string());
  return finding;
}

Result<Finding> TrySocket(const std::string& listen) {
  ASSIGN_OR_RETURN(const HostPath path, SocketPathOf(listen));
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) return FailWithErrno("{}", path.string());
    long magic = 0;
    RETURN_IF_ERROR(Place(HostPath(path.value().parent_path()), &magic).map([](const auto&) {}));
    return Works(path.string() + " is free");
  }
  if (!S_ISSOCK(status.st_mode))
    return Fail(ErrorCode::kFailedPrecondition, "{} is something else than a socket",
                path.string());
  const auto connected = ConnectUnix(path.string());
  if (connected) return Works(path.string() + ": a daemon listens");
  if (connected.error().system_errno == ECONNREFUSED)
    return Works(path.string() + ": left by a daemon that is gone; the next one replaces it");
  return tl::unexpected(connected.error());
}

}  // namespace

void ProbeFolders(const Config& config, const ProbeRunner& run) {
  const std::vector<Probe> probes = {
      {.name = "user",
       .meaning = "no pod starts, and most of what follows cannot be tried",
       .remedy = "sudo catamaran doctor",
       .run = TryUser},
      {.name = "root folder",
       .meaning = "no image can be kept",
       .remedy = fmt::format("make {} a folder that root can write to, or name another as root "
                             "in the configuration",
                             config.root.string()),
       .run = [root = config.root] { return TryRoot(root); }},
      {.name = "disk space",
       .meaning = "no image can be kept",
       .remedy = "root: a folder on a disk that answers, in the configuration",
       .run = [root = config.root] { return TrySpace(root); }},
      {.name = "run folder",
       .meaning = "the daemon does not start",
       .remedy = fmt::format("make {} a folder that root can write to, or name another as run in "
                             "the configuration",
                             config.run.string()),
       .run = [run = config.run] { return TryRun(run); }},
      {.name = "socket",
       .meaning = "the daemon does not start",
       .remedy = "remove it, or name another as listen in the configuration",
       .run = [listen = config.listen] { return TrySocket(listen); }}};
  for (const Probe& probe : probes) run(probe);
}

}  // namespace catamaran
