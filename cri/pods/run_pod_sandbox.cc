#include "cri/pods/identity.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/teardown.h"
#include "cri/pods/timeline.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

ShimManager::Backend BackendOf(const HandlerConfig& handler) {
  return handler.hull == HandlerConfig::Hull::kVm ? ShimManager::Backend::kVm
                                                  : ShimManager::Backend::kNamespaces;
}

Result<spec::SandboxSpec> Translate(const v1::RunPodSandboxRequest& request,
                                    const HandlerConfig& handler, const Pod& pod,
                                    const Pods& pods) {
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  const SandboxPlace place{.id = pod.id,
                           .state_directory = pod.paths.folder / "state",
                           .data_directory = pod.data_directory,
                           .cgroup_root = pods.config().cgroup_root};
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
  if (auto saved = pods.records().Save(record); !saved) {
    (void)pods.records().RemovePod(pod->id);
    return saved;
  }
  pod->record = std::move(record);
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
  ASSIGN_OR_RETURN(const PodNetworkRequest request, TranslatePodNetwork(config, pod.id));
  auto network = pods.network().Attach(request, call.deadline);
  if (!network) return tl::unexpected(std::move(network).error().While("attach the network"));
  ApplyNetwork(*network, sandbox);
  return network->ips();
}

Status SpawnShim(Pods& pods, const std::shared_ptr<Pod>& pod, const HandlerConfig& handler,
                 const spec::SandboxSpec& sandbox, const CallContext& call) {
  if (handler.hull == HandlerConfig::Hull::kVm) pods.KeepTemplates();
  auto shim = pods.shims().Spawn(pod->id, pod->paths, BackendOf(handler), sandbox.cgroup_path(),
                                 EventsOf(pods, pod), call.deadline);
  if (!shim) return tl::unexpected(std::move(shim).error().While("start the shim"));
  std::lock_guard lock(pod->mutex);
  pod->shim = std::move(*shim);
  return {};
}

Result<pod::CreateSandboxResponse> CreateSandbox(Pod& pod, const spec::SandboxSpec& sandbox,
                                                 const CallContext& call) {
  std::shared_ptr<ShimClient> shim;
  {
    std::lock_guard lock(pod.mutex);
    shim = pod.shim;
  }
  if (!shim) return Fail(ErrorCode::kUnavailable, "its shim ended at once");
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = sandbox;
  auto made = shim->CreateSandbox(request, call.deadline);
  if (!made) return tl::unexpected(std::move(made).error().While("create the sandbox"));
  return made;
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
  pod.changed.notify_all();
  return {};
}

Status MakePod(Pods& pods, const std::shared_ptr<Pod>& pod, const v1::RunPodSandboxRequest& request,
               const HandlerConfig& handler, const CallContext& call) {
  ASSIGN_OR_RETURN(spec::SandboxSpec sandbox, Translate(request, handler, *pod, pods));
  RETURN_IF_ERROR(RecordCreation(pods, pod, request, handler, sandbox));
  Cleanup roll_back([&] { DiscardPod(pods, pod); });

  Timeline timeline;
  record::PodRecord ready = pod->record;
  RETURN_IF_ERROR(MakeFolders(*pod, sandbox));
  if (sandbox.network() == spec::POD) {
    ASSIGN_OR_RETURN(const auto ips, timeline.Step("network", [&] {
      return AttachNetwork(pods, *pod, request.config(), call, &sandbox);
    }));
    ready.mutable_ips()->Assign(ips.begin(), ips.end());
  }
  RETURN_IF_ERROR(
      timeline.Step("shim", [&] { return SpawnShim(pods, pod, handler, sandbox, call); }));
  ASSIGN_OR_RETURN(const pod::CreateSandboxResponse made,
                   timeline.Step("sandbox", [&] { return CreateSandbox(*pod, sandbox, call); }));

  *ready.mutable_sandbox() = sandbox;
  *ready.mutable_details() = made.details();
  ready.set_guest_boot_id(made.boot_id());
  ready.set_kernel_release(made.kernel_release());
  timeline.AppendTo(ready);
  RETURN_IF_ERROR(Commit(pods, *pod, std::move(ready), call));
  roll_back.Dismiss();
  return {};
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
  ASSIGN_OR_RETURN(const std::string id, NewId());
  ASSIGN_OR_RETURN(const auto claim, pods.pod_names().Claim(name, id, Fingerprint(request), call));
  if (!claim.is_new) return Existing(pods, claim.id);

  if (auto made = MakePod(pods, pods.NewPod(PodId(id)), request, *handler, call); !made) {
    pods.pod_names().Release(name, id, made.error());
    return tl::unexpected(std::move(made).error());
  }
  pods.pod_names().Settle(name, id);
  v1::RunPodSandboxResponse response;
  response.set_pod_sandbox_id(id);
  return response;
}

}  // namespace catamaran
