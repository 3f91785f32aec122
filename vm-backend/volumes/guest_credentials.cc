#include "vm-backend/volumes/guest_credentials.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace catamaran {
namespace {

// setfsuid(2) to another user than root takes the file capabilities out of the effective set; they
// stay permitted and are raised again.
void RaisePermittedCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0) return;
  for (auto& word : data) word.effective = word.permitted;
  syscall(SYS_capset, &header, data);
}

}  // namespace

GuestCredentials::GuestCredentials(uid_t uid, gid_t gid, mode_t mask) {
  umask(mask);
  setfsgid(gid);
  setfsuid(uid);
  RaisePermittedCapabilities();
}

GuestCredentials::~GuestCredentials() {
  umask(0);
  setfsuid(0);
  setfsgid(0);
  RaisePermittedCapabilities();
}

}  // namespace catamaran
