#include "cri/nri/nri_plugin.h"

namespace catamaran {
namespace {

// Well below the longest message, whatever surrounds it.
constexpr size_t kLongestPart = 3 << 20;

}  // namespace

Result<nri::UpdateContainerResponse> NriPlugin::Synchronize(
    const nri::SynchronizeRequest& everything) {
  const Deadline deadline = Deadline::After(parts_.times.registration);
  int pods = 0, containers = 0;
  while (true) {
    nri::SynchronizeRequest part;
    size_t size = 0;
    for (; pods < everything.pods_size(); ++pods) {
      const size_t next = everything.pods(pods).ByteSizeLong();
      if (size > 0 && size + next > kLongestPart) break;
      size += next;
      *part.add_pods() = everything.pods(pods);
    }
    for (; pods == everything.pods_size() && containers < everything.containers_size();
         ++containers) {
      const size_t next = everything.containers(containers).ByteSizeLong();
      if (size > 0 && size + next > kLongestPart) break;
      size += next;
      *part.add_containers() = everything.containers(containers);
    }
    part.set_more(pods < everything.pods_size() || containers < everything.containers_size());
    ASSIGN_OR_RETURN(const NriReply answer,
                     AskWithin("Synchronize", part.SerializeAsString(), deadline.Remaining()));
    if (closed()) return Fail(ErrorCode::kUnavailable, "it has gone");
    nri::SynchronizeResponse response;
    if (answer && !response.ParseFromString(answer.payload))
      return Fail(ErrorCode::kInvalidArgument, "Synchronize: no SynchronizeResponse");
    if (part.more() && (!response.more() || response.update_size() > 0))
      return Fail(ErrorCode::kFailedPrecondition,
                  "Synchronize: it cannot take the node's state in several parts");
    if (part.more()) continue;
    nri::UpdateContainerResponse updates;
    *updates.mutable_update() = response.update();
    return updates;
  }
}

}  // namespace catamaran
