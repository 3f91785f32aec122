#include "cri/pods/identity.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/operations.h"
#include "cri/pods/start_sandbox.h"
#include "cri/pods/teardown.h"
#include "cri/pods/timeline.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Result<spec::SandboxSpec> Translate(const v1::RunPodSandboxRequest& request,
                                    const HandlerConfig& handler, const Pod& pod,
                                    const Pods& pods) {
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  const SandboxPlace place{.id = pod.id,
                           .state_directory = pod.paths.folder / "state",
                           .data_directory = pod.data_directory,
                           .cgroup_root = pods.config().cgroup_root,
                           .cgroup_driver = pods.config().cgroup_driver};
  return TranslateSandbox(request.config(), handler, place, host);
}

// From here on a crash leaves a record by which everything that follows is found and undone.
Status RecordCreation(Pods& pods, const std::shared_ptr<Pod>& pod,
                      const v1::RunPodSandboxRequest& request, const HandlerConfig& handler,
                      const spec::SandboxSpec& sandbox) {
  record::PodRecord record;
  record.set_format_version(RecordStore::kFormatVersion);
  record.set_boot_id(pods.records().boot_id());
  record.set_pod_id(pod->id.value());
  record.set_state(record::SANDBOX_CREATING);
  *record.mutable_config() = request.config();
  record.set_runtime_handler(request.runtime_handler());
  record.set_handler(handler.name);
  record.set_created_at_ns(NowNanoseconds());
  *record.mutable_sandbox() = sandbox;
  *record.mutable_resources() = request.config().linux().resources();
  *record.mutable_overhead() = request.config().linux().overhead();
  if (auto saved = pods.records().Save(record); !saved) {
    (void)pods.records().RemovePod(pod->id);
    return saved;
  }
  {
    std::lock_guard lock(pod->mutex);  // what is from the pool is known to its shim's watcher
    pod->record = std::move(record);
  }
  pods.table().Add(pod);
  return {};
}

Status MakeFolders(const Pod& pod, const spec::SandboxSpec& sandbox) {
  RETURN_IF_ERROR(MakeDirectories(sandbox.state_directory()));
  RETURN_IF_ERROR(MakeDirectories(pod.data_directory.value()));
  AbortStep();
  return {};
}

Result<std::vector<std::string>> AttachNetwork(Pods& pods, const Pod& pod,
                                               const v1::PodSandboxConfig& config,
                                               const CallContext& call,
                                               spec::SandboxSpec* sandbox) {
  ASSIGN_OR_RETURN(PodNetworkRequest request, TranslatePodNetwork(config, pod.id));
  if (sandbox->has_user_namespace()) request.user_namespace = sandbox->user_namespace();
  auto network = pods.network().Attach(request, call.deadline);
  if (!network) return tl::unexpected(std::move(network).error().While("attach the network"));
  ApplyNetwork(*network, sandbox);
  return network->ips();
}

// `ready` is the record as it shall be. Only now can anybody see the pod.
Status Commit(Pods& pods, Pod& pod, record::PodRecord ready, const CallContext& call) {
  std::lock_guard lock(pod.mutex);
  if (!pod.record.reason().empty() || !pod.shim || !pod.shim->alive())
    return Fail(ErrorCode::kUnavailable, "the sandbox ended at once: {}", pod.record.message());
  if (call.cancelled()) return Fail(ErrorCode::kAborted, "the caller has gone");
  RETURN_IF_ERROR(Advance(ready, SandboxEvent::kCreated));
  ready.set_published(true);
  RETURN_IF_ERROR(pods.records().Save(ready));
  pod.record = std::move(ready);
  pod.Changed();
  return {};
}

void NoteMachine(Pods& pods, const HandlerConfig& handler, const pod::CreateSandboxResponse& made) {
  const auto start = made.details().find("start");
  if (handler.hull == HandlerConfig::Hull::kVm && start != made.details().end())
    pods.meters().MachineStarted(handler.name, start->second,
                                 made.details().contains("pool_waited_ms"));
}

void ForgetMachine(Pods& pods, const std::shared_ptr<Pod>& pod) {
  if (pod->from_pool)
    (void)DiscardUnrecorded(pods, pod, {.deadline = Deadline::After(std::chrono::seconds(20))});
}

// From RecordCreation on the record owns the machine of the pool; up to there it is ours to end.
Status MakePod(Pods& pods, std::shared_ptr<Pod> pod, const v1::RunPodSandboxRequest& request,
               const HandlerConfig& handler, const CallContext& call) {
  Cleanup forget([&] { ForgetMachine(pods, pod); });
  ASSIGN_OR_RETURN(spec::SandboxSpec sandbox, Translate(request, handler, *pod, pods));
  RETURN_IF_ERROR(RecordCreation(pods, pod, request, handler, sandbox));
  forget.Dismiss();
  Cleanup roll_back([&] { DiscardPod(pods, pod); });

  Timeline timeline(pods, handler.name, call);
  record::PodRecord ready = pod->record;
  RETURN_IF_ERROR(MakeFolders(*pod, sandbox));
  if (sandbox.network() == spec::POD) {
    ASSIGN_OR_RETURN(const auto ips, timeline.Step("network", [&] {
      return AttachNetwork(pods, *pod, request.config(), call, &sandbox);
    }));
    ready.mutable_ips()->Assign(ips.begin(), ips.end());
  }
  ASSIGN_OR_RETURN(const pod::CreateSandboxResponse made,
                   StartSandbox(pods, pod, handler, sandbox, call, timeline));

  *ready.mutable_sandbox() = sandbox;
  *ready.mutable_details() = made.details();
  ready.set_guest_boot_id(made.boot_id());
  ready.set_kernel_release(made.kernel_release());
  timeline.AppendTo(ready);
  NoteMachine(pods, handler, made);
  RETURN_IF_ERROR(TellSandboxRuns(pods, pod, ready, call));
  RETURN_IF_ERROR(Commit(pods, *pod, std::move(ready), call));
  roll_back.Dismiss();
  return {};
}

// A machine that waits for a pod such as this; mostly there is none.
MachinePool::Loan TakeMachine(Pods& pods, const v1::RunPodSandboxRequest& request,
                              const HandlerConfig& handler) {
  if (handler.pool == 0) return {};
  // What is wrong with the request is said when the pod is made.
  const Pod nobody(PodId("none"), ShimPaths{HostPath("/")}, HostPath("/"));
  const auto sandbox = Translate(request, handler, nobody, pods);
  if (!sandbox) return {};
  return pods.pool().Take(handler, sandbox->resources());
}

// The pod that had the name already, with the same configuration.
Result<v1::RunPodSandboxResponse> Existing(Pods& pods, const std::string& id) {
  auto pod = pods.table().FindPod(id);
  std::unique_lock<std::mutex> lock;
  if (pod) lock = std::unique_lock(pod->mutex);
  if (!pod || pod->state() != SandboxState::kReady) {
    return Fail(ErrorCode::kAlreadyExists, "its name belongs to sandbox {}, which is not ready",
                id);
  }
  v1::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(id);
  return response;
}

}  // namespace

Result<v1::RunPodSandboxResponse> RunPodSandbox(const v1::RunPodSandboxRequest& request,
                                                const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(const HandlerConfig* handler, pods.FindHandler(request.runtime_handler()));
  ASSIGN_OR_RETURN(const std::string name, SandboxName(request.config().metadata()));
  const MachinePool::PodStart start(pods.pool());
  auto machine = TakeMachine(pods, request, *handler);
  ASSIGN_OR_RETURN(const std::string id, machine ? machine.id().value() : NewId());
  ASSIGN_OR_RETURN(const auto claim, pods.pod_names().Claim(name, id, Fingerprint(request), call));
  if (!claim.is_new) return Existing(pods, claim.id);

  auto pod = machine ? machine.Use() : pods.NewPod(PodId(id));
  if (auto made = MakePod(pods, std::move(pod), request, *handler, call); !made) {
    pods.pod_names().Release(name, id, made.error());
    return tl::unexpected(std::move(made).error());
  }
  pods.pod_names().Settle(name, id);
  v1::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(id);
  return response;
}

}  // namespace catamaran
