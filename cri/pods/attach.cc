#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/stream_wants.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr char kNeedsRunning[] = "only a running one can be attached to";
constexpr seconds kAttachLimit{30}, kCallLimit{10};

// A container's own process, joined by one client. Nothing of its pod is kept between calls.
class AttachedProcess final : public StreamedProcess {
 public:
  AttachedProcess(Pods& pods, std::string container_id, StreamWants wants)
      : pods_(pods), container_id_(std::move(container_id)), wants_(wants) {}

  Result<Ends> Open() override {
    const CallContext call{.deadline = Deadline::After(kAttachLimit)};
    ASSIGN_OR_RETURN(const auto member, Find());
    {
      std::lock_guard lock(member.pod->mutex);
      const v1::ContainerConfig& config = member.container->record.config();
      ends_with_input_ = config.stdin_once() && !config.tty();
    }
    ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods_, member.pod, call));
    pod::AttachRequest attach;
    attach.set_container_id(container_id_);
    attach.set_in(wants_.in);
    // Standard output is joined in any case: its end is that of the container.
    ASSIGN_OR_RETURN(Pipe out, MakePipe());
    Stdio stdio;
    stdio.out = std::move(out.write_end);
    Ends ends;
    ends.out = std::move(out.read_end);
    if (wants_.err) {
      ASSIGN_OR_RETURN(Pipe err, MakePipe());
      stdio.err = std::move(err.write_end);
      ends.err = std::move(err.read_end);
    }
    ASSIGN_OR_RETURN(ends.in, in_use.shim->Attach(attach, std::move(stdio), call.deadline));
    return ends;
  }
  Status Resize(uint16_t columns, uint16_t rows) override {
    pod::ResizeTerminalRequest request;
    request.mutable_process()->set_container_id(container_id_);
    request.set_columns(columns);
    request.set_rows(rows);
    return Call([&](ShimClient& shim, Deadline deadline) {
      return shim.ResizeTerminal(request, deadline);
    });
  }
  void OnInputEnd() override {
    if (!ends_with_input_) return;
    pod::CloseStdinRequest request;
    request.mutable_process()->set_container_id(container_id_);
    (void)Call(
        [&](ShimClient& shim, Deadline deadline) { return shim.CloseStdin(request, deadline); });
  }
  void OnClientGone() override {}
  int ended_fd() const override { return -1; }
  Result<int> ExitCode() override { return 0; }

 private:
  Result<PodTable::Member> Find() {
    ASSIGN_OR_RETURN(auto member, RequireContainer(pods_, "container_id", container_id_));
    RETURN_IF_ERROR(RequireRunning(member, kNeedsRunning));
    return member;
  }
  template <typename Verb>
  Status Call(Verb verb) {
    const CallContext call{.deadline = Deadline::After(kCallLimit)};
    ASSIGN_OR_RETURN(const auto member, Find());
    ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods_, member.pod, call));
    return verb(*in_use.shim, call.deadline);
  }

  Pods& pods_;
  const std::string container_id_;
  const StreamWants wants_;
  bool ends_with_input_ = false;
};

}  // namespace

Result<v1::AttachResponse> Attach(const v1::AttachRequest& request, const CallContext&, Pods& pods,
                                  StreamingServer& streaming) {
  ASSIGN_OR_RETURN(const StreamWants wants, ReadStreamWants(request));
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(RequireRunning(member, kNeedsRunning));
  StreamTicket ticket;
  ticket.kind = StreamTicket::Kind::kAttach;
  ticket.wants = wants;
  ticket.process = std::make_unique<AttachedProcess>(pods, request.container_id(), wants);
  v1::AttachResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), streaming.Offer(std::move(ticket)));
  return response;
}

}  // namespace catamaran
