#include "cri/network/mapped_netns.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>

#include "cri/base/program_run.h"
#include "cri/network/netns_pin.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "shim/client/shim_spawn.h"

namespace catamaran {
namespace {

std::string MapText(const google::protobuf::RepeatedPtrField<spec::IdMapping>& mappings) {
  std::string text;
  for (const auto& range : mappings)
    text += fmt::format("{} {} {}\n", range.container_id(), range.host_id(), range.length());
  return text;
}

}  // namespace

Result<UniqueFd> MakeMappedNetworkNamespace(const spec::UserNamespace& users,
                                            const HostPath& helper, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto program, OpenFile(helper.value(), O_RDONLY));
  ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_SEQPACKET));
  ProgramRun run;
  run.args = {"catamaran-shim", "network-namespace", MapText(users.uids()), MapText(users.gids())};
  run.inherited_fd = sockets.theirs.get();
  static_assert(kNamespaceSocketFd == kShimProgramFd + 1, "where RunProgram puts it");
  ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram(program, run, deadline));
  if (end.exit_code != 0)
    return Fail(
        ErrorCode::kInternal, "make a network namespace of the pod's users: {}",
        end.diagnostics.empty() ? fmt::format("it ended with {}", end.exit_code) : end.diagnostics);
  std::array<char, 8> buffer;
  ASSIGN_OR_RETURN(auto received,
                   ReceiveWithDescriptors(sockets.ours.get(), buffer, 1, MSG_DONTWAIT));
  if (received.descriptors.size() != 1)
    return Fail(ErrorCode::kInternal, "make a network namespace of the pod's users: none came");
  return std::move(received.descriptors[0]);
}

Result<UniqueFd> PinPodNetworkNamespace(const HostPath& path,
                                        const std::optional<spec::UserNamespace>& users,
                                        const HostPath& helper, Deadline deadline) {
  if (!users) return PinNewNetworkNamespace(path);
  ASSIGN_OR_RETURN(auto made, MakeMappedNetworkNamespace(*users, helper, deadline));
  RETURN_IF_ERROR(PinNetworkNamespace(made.get(), path));
  return made;
}

}  // namespace catamaran
