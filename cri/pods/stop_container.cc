#include <algorithm>

#include "cri/pods/container_stop.h"
#include "cri/pods/lookup.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/operations.h"

namespace catamaran {

Result<v1::StopContainerResponse> StopContainer(const v1::StopContainerRequest& request,
                                                const CallContext& call, Pods& pods) {
  if (request.timeout() < 0) {
    return Fail(ErrorCode::kInvalidArgument, "timeout: {} is negative; seconds are wanted",
                request.timeout());
  }
  ASSIGN_OR_RETURN(const auto member, FindContainer(pods, "container_id", request.container_id()));
  if (!member) return v1::StopContainerResponse();
  // Far beyond any deadline, and far from where clocks overflow.
  constexpr int64_t kLongestGrace = 10LL * 365 * 24 * 3600;
  const std::chrono::seconds grace(std::min(request.timeout(), kLongestGrace));
  RETURN_IF_ERROR(StopAndWait(pods, member, grace, call));
  if (auto turn = Turn::Take(member.pod, member.container->changing, call.deadline, call))
    TellContainerStopped(pods, member, call);
  return v1::StopContainerResponse();
}

}  // namespace catamaran
