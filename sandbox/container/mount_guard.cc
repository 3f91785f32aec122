#include "sandbox/container/mount_guard.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "sandbox/container/plan_mounts.h"

namespace catamaran {
namespace {

constexpr std::array kAllowedInProc = {"/proc/cpuinfo",
                                       "/proc/diskstats",
                                       "/proc/meminfo",
                                       "/proc/stat",
                                       "/proc/swaps",
                                       "/proc/uptime",
                                       "/proc/loadavg",
                                       "/proc/slabinfo",
                                       "/proc/sys/kernel/ns_last_pid",
                                       "/proc/sys/crypto/fips_enabled"};

bool IsAllowedInProc(const std::string& target) {
  return std::find(kAllowedInProc.begin(), kAllowedInProc.end(), target) != kAllowedInProc.end();
}

}  // namespace

Status CheckMountTarget(const std::string& target, const std::string& field) {
  if (target == "/")
    return Fail(ErrorCode::kInvalidArgument,
                "{}.container_path \"/\": the root file system is the image's", field);
  if (IsAtOrBelow(target, "/proc") && !IsAllowedInProc(target))
    return Fail(ErrorCode::kInvalidArgument,
                "{}.container_path \"{}\": nothing is mounted over /proc", field, target);
  return {};
}

Status CheckMountPoint(const PlannedMount& mount, int target_fd, int proc_fd) {
  if (proc_fd < 0 || IsAllowedInProc(mount.target)) return {};
  struct stat target, proc;
  if (fstat(target_fd, &target) != 0 || fstat(proc_fd, &proc) != 0)
    return FailWithErrno("stat {}", mount.target);
  if (target.st_dev == proc.st_dev)
    return Fail(ErrorCode::kInvalidArgument,
                "container_path \"{}\" leads to /proc: nothing is mounted over it", mount.target);
  return {};
}

}  // namespace catamaran
