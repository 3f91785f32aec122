#pragma once

#include <sys/types.h>

namespace catamaran {

// While it lives, files are created as this user and group (setfsuid(2)) and with this umask, which
// the host applies where the folder has no default ACL. Permissions are still those of the server:
// the guest's kernel has checked its own process's already, also against supplementary groups that
// a request does not carry. Creating with the right owner, and
// not changing it afterwards, leaves no moment at which another writer of the same folder could
// have put a file of its own under the name.
class GuestCredentials {
 public:
  GuestCredentials(uid_t uid, gid_t gid, mode_t mask);
  ~GuestCredentials();
  GuestCredentials(const GuestCredentials&) = delete;
  GuestCredentials& operator=(const GuestCredentials&) = delete;
};

}  // namespace catamaran
