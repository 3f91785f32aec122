#include <csignal>
#include <optional>

#include "cri/pods/execution.h"
#include "cri/pods/lookup.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/stream_wants.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr char kNeedsRunning[] = "only a running one can exec";
constexpr seconds kStartLimit{120}, kCallLimit{10};

// The process of one Exec: it starts when the client's streams are there.
class ExecutedProcess final : public StreamedProcess {
 public:
  ExecutedProcess(Pods& pods, v1::ExecRequest request, StreamWants wants)
      : pods_(pods), request_(std::move(request)), wants_(wants) {}

  Result<Ends> Open() override {
    const CallContext call{.deadline = Deadline::After(kStartLimit)};
    ASSIGN_OR_RETURN(const auto member,
                     RequireContainer(pods_, "container_id", request_.container_id()));
    RETURN_IF_ERROR(RequireRunning(member, kNeedsRunning));
    ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods_, member.pod, call));
    Ends ends;
    Stdio stdio;
    if (wants_.in) {
      ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
      stdio.in = std::move(pipe.read_end);
      ends.in = std::move(pipe.write_end);
    }
    const auto output = [](bool wanted, UniqueFd* theirs, UniqueFd* ours) -> Status {
      if (!wanted) return {};
      ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
      *theirs = std::move(pipe.write_end);
      *ours = std::move(pipe.read_end);
      return {};
    };
    RETURN_IF_ERROR(output(wants_.out, &stdio.out, &ends.out));
    RETURN_IF_ERROR(output(wants_.err, &stdio.err, &ends.err));
    pod::ExecRequest exec;
    *exec.mutable_args() = request_.cmd();
    exec.set_terminal(wants_.terminal);
    ASSIGN_OR_RETURN(auto execution, Execution::Start(member, in_use, std::move(exec),
                                                      std::move(stdio), call.deadline));
    execution_.emplace(std::move(execution));
    return ends;
  }
  Status Resize(uint16_t columns, uint16_t rows) override {
    return execution_->Resize(columns, rows, Deadline::After(kCallLimit));
  }
  void OnInputEnd() override {}
  // As a terminal's end does. Without one the process goes on, as with other runtimes.
  void OnClientGone() override {
    if (wants_.terminal) (void)execution_->Signal(SIGHUP, Deadline::After(kCallLimit));
  }
  int ended_fd() const override { return execution_->ended_fd(); }
  Result<int> ExitCode() override {
    ASSIGN_OR_RETURN(const spec::ExitStatus exit, execution_->Exit());
    return exit.exit_code();
  }

 private:
  Pods& pods_;
  const v1::ExecRequest request_;
  const StreamWants wants_;
  std::optional<Execution> execution_;
};

}  // namespace

Result<v1::ExecResponse> Exec(const v1::ExecRequest& request, const CallContext&, Pods& pods,
                              StreamingServer& streaming) {
  if (request.cmd().empty())
    return Fail(ErrorCode::kInvalidArgument, "cmd: is empty; a program to run is wanted");
  ASSIGN_OR_RETURN(const StreamWants wants, ReadStreamWants(request));
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  RETURN_IF_ERROR(RequireRunning(member, kNeedsRunning));
  StreamTicket ticket;
  ticket.kind = StreamTicket::Kind::kExec;
  ticket.wants = wants;
  ticket.process = std::make_unique<ExecutedProcess>(pods, request, wants);
  v1::ExecResponse response;
  ASSIGN_OR_RETURN(*response.mutable_url(), streaming.Offer(std::move(ticket)));
  return response;
}

}  // namespace catamaran
