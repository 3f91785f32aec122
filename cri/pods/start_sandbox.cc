#include "cri/pods/start_sandbox.h"

#include "cri/pods/shim_link.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// A claim takes a fraction of a second; a machine that hangs must not take the caller's whole time.
constexpr seconds kClaimLimit{15};

ShimManager::Backend BackendOf(const HandlerConfig& handler) {
  return handler.hull == HandlerConfig::Hull::kVm ? ShimManager::Backend::kVm
                                                  : ShimManager::Backend::kNamespaces;
}

Status SpawnShim(Pods& pods, const std::shared_ptr<Pod>& pod, const HandlerConfig& handler,
                 const spec::SandboxSpec& sandbox, const CallContext& call) {
  if (handler.hull == HandlerConfig::Hull::kVm) pods.KeepTemplates();
  auto started = StartShim(pods, pod, BackendOf(handler), sandbox.cgroup_path(),
                           EventsOf(pods, pod), call.deadline);
  if (!started) return tl::unexpected(std::move(started).error().While("start the shim"));
  return {};
}

Result<pod::CreateSandboxResponse> CreateSandbox(Pod& pod, const spec::SandboxSpec& sandbox,
                                                 Deadline deadline) {
  std::shared_ptr<ShimClient> shim;
  {
    std::lock_guard lock(pod.mutex);
    shim = pod.shim;
  }
  if (!shim) return Fail(ErrorCode::kUnavailable, "its shim ended at once");
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = sandbox;
  auto made = shim->CreateSandbox(request, deadline);
  if (!made) return tl::unexpected(std::move(made).error().While("create the sandbox"));
  return made;
}

// Out of the group in which it waited into the pod's, with all that it has started.
Status EnterPodGroup(Pods& pods, const Pod& pod, const spec::SandboxSpec& sandbox,
                     Deadline deadline) {
  const std::string waiting = WaitingCgroup(pods, pod.id);
  if (waiting == sandbox.cgroup_path()) return {};
  RETURN_IF_ERROR(
      pods.cgroups().Move(waiting + "/shim", sandbox.cgroup_path() + "/shim", deadline));
  return pods.cgroups().Remove(waiting, deadline);
}

Result<pod::CreateSandboxResponse> Claim(Pods& pods, Pod& pod, const spec::SandboxSpec& sandbox,
                                         Timeline& timeline, Deadline deadline) {
  RETURN_IF_ERROR(
      timeline.Step("pool", [&] { return EnterPodGroup(pods, pod, sandbox, deadline); }));
  return timeline.Step("sandbox", [&] { return CreateSandbox(pod, sandbox, deadline); });
}

// The same pod without the shim that it had.
Result<std::shared_ptr<Pod>> Anew(Pods& pods, const std::shared_ptr<Pod>& pod, Deadline deadline) {
  RETURN_IF_ERROR(EndShim(pods, pod, deadline));
  auto fresh = pods.NewPod(pod->id);
  {
    std::lock_guard lock(pod->mutex);
    fresh->record = pod->record;
  }
  fresh->record.clear_reason();
  fresh->record.clear_message();
  pods.table().Add(fresh);
  return fresh;
}

// Says that the request is wrong, not the machine.
bool SpeaksOfTheRequest(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kUnimplemented;
}

}  // namespace

Result<pod::CreateSandboxResponse> StartSandbox(Pods& pods, std::shared_ptr<Pod>& pod,
                                                const HandlerConfig& handler,
                                                const spec::SandboxSpec& sandbox,
                                                const CallContext& call, Timeline& timeline) {
  bool from_pool = false;
  {
    std::lock_guard lock(pod->mutex);
    from_pool = pod->from_pool;
  }
  if (from_pool) {
    auto made =
        Claim(pods, *pod, sandbox, timeline, call.deadline.Earlier(Deadline::After(kClaimLimit)));
    if (made || SpeaksOfTheRequest(made.error()) || call.deadline.expired()) return made;
    pods.pool().NoteFailedClaim(handler.name, made.error());
    ASSIGN_OR_RETURN(pod, Anew(pods, pod, call.deadline));
  }
  RETURN_IF_ERROR(
      timeline.Step("shim", [&] { return SpawnShim(pods, pod, handler, sandbox, call); }));
  return timeline.Step("sandbox", [&] { return CreateSandbox(*pod, sandbox, call.deadline); });
}

}  // namespace catamaran
