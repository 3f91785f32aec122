#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kDialLimit{10};

// The ports of one pod. Nothing of it is kept between calls.
class PodPorts final : public PortTarget {
 public:
  PodPorts(Pods& pods, std::string pod_id) : pods_(pods), pod_id_(std::move(pod_id)) {}

  Result<UniqueFd> Dial(uint16_t port) override {
    const CallContext call{.deadline = Deadline::After(kDialLimit)};
    ASSIGN_OR_RETURN(const auto pod, RequirePod(pods_, "pod_sandbox_id", pod_id_));
    ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods_, pod, call));
    return in_use.shim->DialPort(port, call.deadline);
  }

 private:
  Pods& pods_;
  const std::string pod_id_;
};

}  // namespace

Result<v1::PortForwardResponse> PortForward(const v1::PortForwardRequest& request,
                                            const CallContext&, Pods& pods,
                                            StreamingServer& streaming) {
  StreamTicket ticket;
  ticket.kind = StreamTicket::Kind::kPortForward;
  for (const int32_t port : request.port()) {
    if (port < 1 || port > UINT16_MAX)
      return Fail(ErrorCode::kInvalidArgument, "port: {} is none: 1 to 65535 are", port);
    ticket.ports.push_back(static_cast<uint16_t>(port));
  }
  // WebSocket clients number a pair of channels by each, in one byte.
  if (ticket.ports.size() > 128)
    return Fail(ErrorCode::kInvalidArgument, "port: {} ports; at most 128", ticket.ports.size());
  ASSIGN_OR_RETURN(const auto pod, RequirePod(pods, "pod_sandbox_id", request.pod_sandbox_id()));
  {
    std::lock_guard lock(pod->mutex);
    if (pod->state() != SandboxState::kReady) {
      return Fail(ErrorCode::kFailedPrecondition,
                  "sandbox {} is {}: only the ports of a ready one can be reached", pod->id.value(),
                  Name(pod->state()));
    }
  }
  ticket.target = std::make_unique<PodPorts>(pods, request.pod_sandbox_id());
  v1::PortForwardResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), streaming.Offer(std::move(ticket)));
  return response;
}

}  // namespace catamaran
