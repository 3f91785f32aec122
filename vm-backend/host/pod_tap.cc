#include "vm-backend/host/pod_tap.h"

#include <fcntl.h>
#include <sched.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

constexpr char kTap[] = "tap0";

bool HasNetwork(const spec::SandboxSpec& sandbox) {
  return !sandbox.network_namespace().empty() && !sandbox.interfaces().empty();
}

Status JoinTap(int netns, const spec::NetworkInterface& interface) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::OpenIn(netns));
  if (interface.mtu() != 0) RETURN_IF_ERROR(netlink.SetMtu(kTap, interface.mtu()));
  RETURN_IF_ERROR(netlink.JoinLinks(interface.name(), kTap));
  return netlink.SetLinkUp(kTap);
}

}  // namespace

Result<UniqueFd> MakePodTap(const spec::SandboxSpec& sandbox) {
  if (!HasNetwork(sandbox)) return UniqueFd();
  ASSIGN_OR_RETURN(UniqueFd netns, OpenFile(sandbox.network_namespace(), O_RDONLY));
  UniqueFd tap;
  RETURN_IF_ERROR(RunInNetworkNamespace(netns.get(), [&tap]() -> Status {
    ASSIGN_OR_RETURN(tap, CreateTap({.name = kTap, .virtio_header = true}));
    return {};
  }));
  RETURN_IF_ERROR(JoinTap(netns.get(), sandbox.interfaces(0)));
  return tap;
}

Result<WaitingTap> MakeWaitingTap() {
  ASSIGN_OR_RETURN(const UniqueFd own, OpenOwnNamespace("net"));
  WaitingTap waiting;
  // On a thread of its own, which leaves for another namespace and ends.
  RETURN_IF_ERROR(RunInNetworkNamespace(own.get(), [&waiting]() -> Status {
    if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("make a network namespace for a tap");
    ASSIGN_OR_RETURN(waiting.netns, OpenFile("/proc/thread-self/ns/net", O_RDONLY));
    ASSIGN_OR_RETURN(waiting.tap, CreateTap({.name = kTap, .virtio_header = true}));
    return {};
  }));
  return waiting;
}

Status GiveTapToPod(const UniqueFd& netns, const spec::SandboxSpec& sandbox) {
  if (!HasNetwork(sandbox)) return {};
  ASSIGN_OR_RETURN(const UniqueFd pod, OpenFile(sandbox.network_namespace(), O_RDONLY));
  {
    ASSIGN_OR_RETURN(Netlink netlink, Netlink::OpenIn(netns.get()));
    RETURN_IF_ERROR(netlink.MoveLink(kTap, pod.get()));
    AbortStep();
  }
  return JoinTap(pod.get(), sandbox.interfaces(0));
}

}  // namespace catamaran
