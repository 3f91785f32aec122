#include "cri/network/netns_pin.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

Result<UniqueFd> MakeAndPin(const HostPath& path) {
  if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("make a network namespace");
  constexpr char kOwn[] = "/proc/thread-self/ns/net";
  ASSIGN_OR_RETURN(auto made, OpenFile(kOwn, O_RDONLY));
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  RETURN_IF_ERROR(BringUpLoopback(netlink));
  if (mount(kOwn, path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return FailWithErrno("pin the network namespace at {}", path.string());
  AbortStep();
  return made;
}

}  // namespace

Result<UniqueFd> PinNewNetworkNamespace(const HostPath& path) {
  RETURN_IF_ERROR(UnpinNetworkNamespace(path));
  RETURN_IF_ERROR(
      OpenFile(path.value(), O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0000).map([](UniqueFd) {}));
  AbortStep();
  Cleanup cleanup([&] { (void)UnpinNetworkNamespace(path); });
  Result<UniqueFd> made = Fail(ErrorCode::kInternal, "not made");
  // unshare changes one thread: this one ends with it.
  std::thread([&] { made = MakeAndPin(path); }).join();
  if (made) cleanup.Dismiss();
  return made;
}

Status UnpinNetworkNamespace(const HostPath& path) {
  // Several mounts may lie on one another where a crash came between.
  while (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) AbortStep();
  if (errno != EINVAL && errno != ENOENT)
    return FailWithErrno("unpin the network namespace at {}", path.string());
  RETURN_IF_ERROR(RemoveIfExists(path.value()));
  AbortStep();
  return {};
}

}  // namespace catamaran
