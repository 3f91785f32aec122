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

Status Pin(const std::string& own, const HostPath& path) {
  if (mount(own.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return FailWithErrno("pin the network namespace at {}", path.string());
  AbortStep();
  return {};
}

Result<UniqueFd> MakeAndPin(const HostPath& path) {
  if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("make a network namespace");
  constexpr char kOwn[] = "/proc/thread-self/ns/net";
  ASSIGN_OR_RETURN(auto made, OpenFile(kOwn, O_RDONLY));
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  RETURN_IF_ERROR(BringUpLoopback(netlink));
  RETURN_IF_ERROR(Pin(kOwn, path));
  return made;
}

// An empty file to pin something at.
Status MakePinPoint(const HostPath& path) {
  RETURN_IF_ERROR(UnpinNetworkNamespace(path));
  RETURN_IF_ERROR(
      OpenFile(path.value(), O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0000).map([](UniqueFd) {}));
  AbortStep();
  return {};
}

}  // namespace

Result<UniqueFd> PinNewNetworkNamespace(const HostPath& path) {
  RETURN_IF_ERROR(MakePinPoint(path));
  Cleanup cleanup([&] { (void)UnpinNetworkNamespace(path); });
  Result<UniqueFd> made = Fail(ErrorCode::kInternal, "not made");
  // unshare changes one thread: this one ends with it.
  std::thread([&] { made = MakeAndPin(path); }).join();
  if (made) cleanup.Dismiss();
  return made;
}

Status PinNetworkNamespace(int namespace_fd, const HostPath& path) {
  RETURN_IF_ERROR(MakePinPoint(path));
  Cleanup cleanup([&] { (void)UnpinNetworkNamespace(path); });
  RETURN_IF_ERROR(Pin(fmt::format("/proc/thread-self/fd/{}", namespace_fd), path));
  cleanup.Dismiss();
  return {};
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
