#include <csignal>

#include "cri/pods/lookup.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/timeline.h"

namespace catamaran {
namespace {

constexpr int kStartErrorExit = 128;
constexpr std::chrono::seconds kKillLimit{10};

Status RequireCreated(const PodTable::Member& member) {
  std::lock_guard lock(member.pod->mutex);
  if (member.container->state() == ContainerState::kCreated) return {};
  return Fail(ErrorCode::kFailedPrecondition, "container {} is {}: only a created one can start",
              member.container->id.value(), Name(member.container->state()));
}

std::string HandlerOf(Pod& pod) {
  std::lock_guard lock(pod.mutex);
  return pod.record.handler();
}

// While it lives an end that the shim reports is that of a container which has begun.
class Starting {
 public:
  explicit Starting(const PodTable::Member& member) : member_(member) { Set(true); }
  Starting(const Starting&) = delete;
  ~Starting() { Set(false); }

 private:
  void Set(bool starting) {
    std::lock_guard lock(member_.pod->mutex);
    member_.container->starting = starting;
  }
  const PodTable::Member& member_;
};

// What the kubelet shows of a container that could not be started. Its processes, should the shim
// have started it after all, are killed: nobody will ever see them run.
void RecordFailure(Pods& pods, const PodTable::Member& member, ShimClient& shim,
                   const Error& error) {
  pod::SignalRequest kill;
  kill.mutable_process()->set_container_id(member.container->id.value());
  kill.set_signal(SIGKILL);
  kill.set_all(true);
  (void)shim.Signal(kill, Deadline::After(kKillLimit));

  spec::ExitStatus exit;
  exit.set_exit_code(kStartErrorExit);
  exit.set_message(error.message);
  std::lock_guard lock(member.pod->mutex);
  record::ContainerRecord& record = member.container->record;
  record.clear_exit();
  if (ApplyExit(record, exit, /*presumed=*/false)) SaveFact(pods, record);
  member.pod->Changed();
}

// An exit that was reported before this answer stays: the table moves nothing out of EXITED.
Status RecordStart(Pods& pods, const PodTable::Member& member, int64_t started_at_ns,
                   const Timeline& timeline) {
  std::lock_guard lock(member.pod->mutex);
  record::ContainerRecord& record = member.container->record;
  RETURN_IF_ERROR(Advance(record, ContainerEvent::kStarted));
  record.set_started_at_ns(started_at_ns);
  timeline.AppendTo(record);
  SaveFact(pods, record);
  member.pod->Changed();
  return {};
}

}  // namespace

Result<v1::StartContainerResponse> StartContainer(const v1::StartContainerRequest& request,
                                                  const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const auto member,
                   RequireContainer(pods, "container_id", request.container_id()));
  ASSIGN_OR_RETURN(auto turn,
                   Turn::Take(member.pod, member.container->changing, call.deadline, call));
  RETURN_IF_ERROR(RequireCreated(member));
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, member.pod, call));
  // A shim that had to be reconnected first may have told otherwise.
  RETURN_IF_ERROR(RequireCreated(member));

  Timeline timeline(pods, HandlerOf(*member.pod), call);
  auto started = timeline.Step("start", [&]() -> Result<pod::StartContainerResponse> {
    RETURN_IF_ERROR(TellContainerStarts(pods, member, call));
    const Starting starting(member);
    return in_use.shim->StartContainer(member.container->id, call.deadline);
  });
  if (!started) {
    RecordFailure(pods, member, *in_use.shim, started.error());
    TellContainerStopped(pods, member, call);
    return tl::unexpected(std::move(started).error());
  }
  RETURN_IF_ERROR(RecordStart(pods, member, started->started_at_ns(), timeline));
  TellContainerChanged(pods, nri::POST_START_CONTAINER, member, call);
  return v1::StartContainerResponse();
}

}  // namespace catamaran
