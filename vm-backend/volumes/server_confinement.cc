#include "vm-backend/volumes/server_confinement.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "sandbox/base/files.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/kernel/bare_root.h"
#include "sandbox/kernel/mounts.h"
#include "vm-backend/volumes/server_seccomp.h"

namespace catamaran {
namespace {

bool Has(uint32_t defences, ServerDefence one) {
  return (defences & static_cast<uint32_t>(one)) != 0;
}

// Reading and writing files of any owner, and giving new ones to the guest's users. Not
// CAP_DAC_READ_SEARCH: it would add nothing but open_by_handle_at(2), which opens any file of a
// file system, wherever a volume of it begins.
CapabilitySet FileCapabilities() {
  CapabilitySet set;
  for (const int capability :
       {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETGID, CAP_SETUID})
    set.Add(capability);
  return set;
}

Status EnterEmptyRoot() {
  ASSIGN_OR_RETURN(const UniqueFd own_descriptors,
                   CloneMount(AT_FDCWD, "/proc/self/fd", Recursion::kOne));
  ASSIGN_OR_RETURN(BareRoot root, BareRoot::Make());
  RETURN_IF_ERROR(root.Enter());
  if (fchdir(own_descriptors.get()) != 0) return FailWithErrno("fchdir to /proc/self/fd");
  return {};
}

// A table of id_map(7) with the same extents, each mapped to itself: what has no name in this
// namespace has none in the child's.
Status CopyMap(const std::string& name, pid_t child) {
  ASSIGN_OR_RETURN(const std::string own, ReadFile("/proc/self/" + name, 64 << 10));
  std::istringstream lines(own);
  std::string map;
  uint64_t here = 0, outside = 0, count = 0;
  while (lines >> here >> outside >> count) map += fmt::format("{} {} {}\n", here, here, count);
  return WriteExisting(fmt::format("/proc/{}/{}", child, name), map);
}

}  // namespace

uint64_t ServerNamespaces(uint32_t defences, bool user_namespace) {
  uint64_t flags = CLONE_NEWNS;
  if (!Has(defences, ServerDefence::kNamespaces)) return flags;
  flags |= CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  if (user_namespace) flags |= CLONE_NEWUSER;
  return flags;
}

Status MapAllUsers(pid_t child) {
  RETURN_IF_ERROR(CopyMap("uid_map", child));
  return CopyMap("gid_map", child);
}

Status ConfineServer(uint32_t defences) {
  if (Has(defences, ServerDefence::kRoot)) {
    RETURN_IF_ERROR(EnterEmptyRoot());
  } else if (chdir("/proc/self/fd") != 0) {
    return FailWithErrno("chdir to /proc/self/fd");
  }
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  umask(0);  // each request carries its own
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailWithErrno("no_new_privs");
  if (Has(defences, ServerDefence::kCapabilities)) {
    RETURN_IF_ERROR(DropBoundingSet(FileCapabilities()));
    RETURN_IF_ERROR(ApplyCapabilities(FileCapabilities()));
  }
  if (Has(defences, ServerDefence::kSystemCalls)) return InstallServerFilter();
  return {};
}

}  // namespace catamaran
