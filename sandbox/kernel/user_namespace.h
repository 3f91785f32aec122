#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Which ids of the surrounding user namespace the ids of another one are, as /proc/PID/uid_map and
// gid_map have it (user_namespaces(7)): a line "INSIDE OUTSIDE LENGTH" for each range.
struct IdMaps {
  std::string uids;
  std::string gids;
  friend bool operator==(const IdMaps&, const IdMaps&) = default;
};

// A new user namespace with these maps, which lives for as long as its descriptor or anything that
// it owns. For a single-threaded process that is root here.
Result<UniqueFd> MakeUserNamespace(const IdMaps& maps);

// The user namespace that owns a namespace (ioctl_ns(2)).
Result<UniqueFd> OwnerOfNamespace(int namespace_fd);

// Writes the maps of the user namespace that a process is alone in.
Status WriteIdMaps(int pidfd, const IdMaps& maps);
// kFailedPrecondition unless the process's user namespace has these maps. They are compared as
// seen from here.
Status CheckIdMaps(int pidfd, const IdMaps& maps);

// Of this user namespace, with all its capabilities there: setns(2) leaves the ids as they were.
Status BecomeNamespaceRoot();

}  // namespace catamaran
