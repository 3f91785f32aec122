#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/container/capabilities.h"

namespace catamaran {
namespace {

// Bits of a CapabilitySet.
constexpr int kMostCapabilities = 64;

}  // namespace

Status DropBoundingSet(CapabilitySet keep) {
  for (int number = 0; number < kMostCapabilities; ++number) {
    if (keep.Has(number)) continue;
    const int present = prctl(PR_CAPBSET_READ, number);
    if (present < 0) break;  // EINVAL: beyond the last one
    if (present == 1 && prctl(PR_CAPBSET_DROP, number) != 0)
      return FailWithErrno("drop {} from the bounding set", CapabilityName(number));
  }
  return {};
}

Status KeepCapabilitiesOverSetuid() {
  if (prctl(PR_SET_KEEPCAPS, 1) != 0) return FailWithErrno("keep capabilities");
  return {};
}

Status ApplyCapabilities(CapabilitySet set, CapabilitySet ambient) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  for (int half = 0; half < _LINUX_CAPABILITY_U32S_3; ++half) {
    data[half].effective = static_cast<uint32_t>(set.bits >> (32 * half));
    data[half].permitted = data[half].effective;
    data[half].inheritable = static_cast<uint32_t>(ambient.bits >> (32 * half));
  }
  if (syscall(SYS_capset, &header, data) != 0) return FailWithErrno("set capabilities");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return FailWithErrno("clear ambient capabilities");
  for (int number = 0; number < kMostCapabilities; ++number)
    if (ambient.Has(number) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
      return FailWithErrno("raise the ambient {}", CapabilityName(number));
  if (prctl(PR_SET_KEEPCAPS, 0) != 0) return FailWithErrno("end keeping capabilities");
  return {};
}

}  // namespace catamaran
