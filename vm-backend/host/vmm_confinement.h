#pragma once

#include <sched.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// What a VMM is and sees, besides the descriptors it is given. A guest that takes its VMM over, the
// first step out of a machine, finds itself a user without files or capabilities (and no way to get
// one), alone in namespaces of its own, with the host's libraries to read and nothing else.
struct VmmConfinement {
  uint32_t user = 0;  // and group, see VmmUser
  // Files and folders of the host that it sees read-only, under the same name or another. Those
  // that do not exist are left out.
  struct Shown {
    std::string host_path;
    std::string name;
  };
  std::vector<Shown> shown;
  // A device it may open, under the same name; it gets the device's group. Empty: none.
  std::string device;
  // Whether it may open its own descriptors again, as /proc/self/fd/N. There is no other /proc.
  bool own_descriptors = false;
};

inline constexpr uint64_t kVmmNamespaces =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

// In a child cloned with kVmmNamespaces, as root: becomes so confined, for good. The tie to the
// parent (DieWithParent) is lost on the way.
Status Confine(const VmmConfinement& confinement);

// Users for VMMs, a range that nobody else on the node has: that of the user "catamaran" in
// /etc/subuid (subuid(5)), or 1879048192 and the 4194304 after it, which systemd's list of users
// and groups leaves unused. Groups have the same numbers.
struct UserRange {
  uint32_t first = 0x70000000;
  uint32_t count = 1 << 22;
};
// `subuid` is that file's text. kInvalidArgument where its line cannot be read.
Result<UserRange> ParseUserRange(const std::string& subuid);

// The user for the VMMs of this process: a shim has one VMM, and two processes that live have two
// process ids, so no two pods share a user and nothing has to be kept about it. kFailedPrecondition
// where the range is smaller than the process ids are many (kernel.pid_max).
Result<uint32_t> VmmUser();

}  // namespace catamaran
