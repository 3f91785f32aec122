#include "sandbox/container/quota_credentials.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace catamaran {
namespace {

constexpr uint32_t kBit = 1U << CAP_SYS_RESOURCE;

bool BelongsToProject(int fd) {
  fsxattr attributes = {};
  return ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 && attributes.fsx_projid != 0;
}

struct Capabilities {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

  Status Read() {
    if (syscall(SYS_capget, &header, data) != 0) return FailWithErrno("capget");
    return {};
  }
  Status Write() {
    if (syscall(SYS_capset, &header, data) != 0) return FailWithErrno("capset");
    return {};
  }
};

}  // namespace

Result<QuotaCredentials> QuotaCredentials::For(int upper_fd) {
  if (!BelongsToProject(upper_fd)) return QuotaCredentials(false);
  Capabilities own;
  RETURN_IF_ERROR(own.Read());
  if ((own.data[0].effective & kBit) == 0) return QuotaCredentials(false);
  own.data[0].effective &= ~kBit;
  RETURN_IF_ERROR(own.Write());
  return QuotaCredentials(true);
}

QuotaCredentials::~QuotaCredentials() {
  if (!dropped_) return;
  Capabilities own;
  if (!own.Read()) return;
  own.data[0].effective |= kBit;
  (void)own.Write();
}

}  // namespace catamaran
