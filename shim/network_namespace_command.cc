#include "shim/network_namespace_command.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>

#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/kernel/user_namespace.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

// clone(2) makes the user namespace first, so it owns the other one.
Result<UniqueFd> MakeNetworkNamespace(const IdMaps& maps) {
  ASSIGN_OR_RETURN(
      const auto keeper,
      CloneProcess({.namespaces = CLONE_NEWUSER | CLONE_NEWNET, .dies_with_parent = true}, [] {
        while (true) pause();
        return 0;
      }));
  Cleanup end([&keeper] { (void)KillAndReap(keeper.pidfd.get()); });
  RETURN_IF_ERROR(WriteIdMaps(keeper.pidfd.get(), maps));
  ASSIGN_OR_RETURN(const pid_t pid, PidOf(keeper.pidfd.get()));
  ASSIGN_OR_RETURN(auto made, OpenFile(fmt::format("/proc/{}/ns/net", pid), O_RDONLY));
  ASSIGN_OR_RETURN(auto netlink, Netlink::OpenIn(made.get()));
  RETURN_IF_ERROR(BringUpLoopback(netlink));
  return made;
}

}  // namespace

Status RunNetworkNamespaceCommand(int argc, char** argv) {
  if (argc != 4)
    return Fail(ErrorCode::kInvalidArgument, "network-namespace: UID_MAP and GID_MAP are needed");
  if (fcntl(kNamespaceSocketFd, F_SETFD, FD_CLOEXEC) != 0)
    return FailWithErrno("network-namespace: descriptor {}", kNamespaceSocketFd);
  ASSIGN_OR_RETURN(const auto made, MakeNetworkNamespace({argv[2], argv[3]}));
  const std::array descriptors = {made.get()};
  return SendWithDescriptors(kNamespaceSocketFd, "n", descriptors).map([](size_t) {});
}

}  // namespace catamaran
