// A program keeps what its engine has, inheritable too. Linked in the place of capability_steps.cc,
// into a test.
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/container/capabilities.h"

namespace catamaran {

Status DropBoundingSet(CapabilitySet) { return {}; }

Status KeepCapabilitiesOverSetuid() {
  if (prctl(PR_SET_KEEPCAPS, 1) != 0) return FailWithErrno("keep capabilities");
  return {};
}

Status ApplyCapabilities(CapabilitySet, CapabilitySet) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, data) != 0) return FailWithErrno("get capabilities");
  for (auto& half : data) half.effective = half.inheritable = half.permitted;
  if (syscall(SYS_capset, &header, data) != 0) return FailWithErrno("set capabilities");
  return {};
}

}  // namespace catamaran
