#include "cri/pods/host_settings.h"
#include "cri/pods/identity.h"
#include "cri/pods/lookup.h"
#include "cri/pods/nri_events.h"
#include "cri/pods/nri_updates.h"
#include "cri/pods/nri_view.h"
#include "cri/pods/operations.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/teardown.h"
#include "cri/pods/timeline.h"
#include "cri/pods/writable_limit.h"
#include "cri/translate/host_facts.h"
#include "cri/translate/translate.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// The image that a request means, where the node's policy lets it be used under the name that the
// pod has for it: the kubelet itself asks by id.
Result<Image> FindImage(Pods& pods, const std::string& field, const v1::ImageSpec& asked) {
  const std::string& reference = asked.image();
  if (reference.empty()) return Fail(ErrorCode::kInvalidArgument, "{}: \"\" names no image", field);
  ASSIGN_OR_RETURN(auto image, pods.images().Find(reference));
  if (!image)
    return Fail(ErrorCode::kNotFound, "{}: image \"{}\" is not on this node", field, reference);
  const std::string& name = asked.user_specified_image();
  if (auto admitted = pods.images().Admit(*image, name.empty() ? reference : name); !admitted)
    return tl::unexpected(std::move(admitted).error().While("SignatureValidationFailed: " + field));
  return *std::move(image);
}

// The pod's part of what a container is translated with, as it is now.
struct Surroundings {
  v1::PodSandboxConfig config;
  spec::SandboxSpec sandbox;
  std::string handler;
};

Surroundings SurroundingsOf(Pod& pod) {
  std::lock_guard lock(pod.mutex);
  return {pod.record.config(), pod.record.sandbox(), pod.record.handler()};
}

Status CheckTarget(Pod& pod, const spec::ContainerSpec& container) {
  if (container.pid() != spec::TARGET) return {};
  std::lock_guard lock(pod.mutex);
  auto target = pod.containers.find(container.pid_target());
  if (target != pod.containers.end() && target->second->state() == ContainerState::kRunning)
    return {};
  return Fail(ErrorCode::kInvalidArgument,
              "linux.security_context.namespace_options.target_id: \"{}\" is not a running "
              "container of sandbox {}",
              container.pid_target(), pod.id.value());
}

void DescribeImage(const Image& image, record::ContainerRecord* record) {
  record->set_image_id(image.id);
  const std::string digest = image.repo_digests.empty() ? image.id : image.repo_digests.front();
  record->set_image_name(image.repo_tags.empty() ? digest : image.repo_tags.front());
  record->set_image_ref(digest);
}

record::ContainerRecord NewRecord(const Pods& pods, const Pod& pod, const std::string& id,
                                  const v1::CreateContainerRequest& request, const Image& image,
                                  const spec::ContainerSpec& container) {
  record::ContainerRecord record;
  record.set_format_version(RecordStore::kFormatVersion);
  record.set_boot_id(pods.records().boot_id());
  record.set_container_id(id);
  record.set_pod_id(pod.id.value());
  record.set_state(record::CONTAINER_CREATING);
  *record.mutable_config() = request.config();
  DescribeImage(image, &record);
  record.set_created_at_ns(NowNanoseconds());
  *record.mutable_resources() = request.config().linux().resources();
  *record.mutable_mounts() = request.config().mounts();
  record.set_log_path(container.log_path());
  record.set_stop_signal(container.stop_signal());
  return record;
}

// From here on a crash leaves a record by which everything that follows is found and undone.
Result<PodTable::Member> RecordCreation(Pods& pods, const std::shared_ptr<Pod>& pod,
                                        record::ContainerRecord record) {
  auto container = std::make_shared<Container>(ContainerId(record.container_id()), pod->id);
  {
    std::lock_guard lock(pod->mutex);
    RETURN_IF_ERROR(pods.records().Save(record));
    container->record = std::move(record);
    pod->containers[container->id.value()] = container;
  }
  pods.table().Add(pod, container);
  return PodTable::Member{pod, container};
}

// The layers of an image that the container mounts, as one of its mounts.
Status LeaseMounted(Pods& pods, const std::string& holder, ImageStore::RootfsKind kind,
                    spec::ContainerSpec* container, v1::Mount* mount) {
  ASSIGN_OR_RETURN(const Image source, FindImage(pods, "mounts.image", mount->image()));
  ASSIGN_OR_RETURN(spec::RootfsSpec layers, pods.images().Lease(source.id, holder, kind));
  layers.set_readonly(true);
  layers.set_mount_label(container->mount_label());
  mount->mutable_image()->set_image_ref(source.id);
  for (spec::Mount& target : *container->mutable_mounts()) {
    if (target.has_image() && target.container_path() == mount->container_path())
      *target.mutable_image()->mutable_rootfs() = layers;
  }
  return {};
}

// The layers of the container's image and of those it mounts, leased for as long as it exists.
Status LeaseImages(Pods& pods, const PodTable::Member& member, const Image& image,
                   const HandlerConfig& handler, spec::ContainerSpec* container,
                   record::ContainerRecord* record) {
  const std::string& holder = member.container->id.value();
  const auto kind = handler.hull == HandlerConfig::Hull::kVm ? ImageStore::RootfsKind::kMergedDisk
                                                             : ImageStore::RootfsKind::kLayers;
  ASSIGN_OR_RETURN(spec::RootfsSpec rootfs, pods.images().Lease(image.id, holder, kind));
  rootfs.set_readonly(container->rootfs().readonly());
  rootfs.set_mount_label(container->mount_label());
  rootfs.set_writable_directory(WritableDirectory(*member.pod, member.container->id).string());
  *container->mutable_rootfs() = std::move(rootfs);

  for (v1::Mount& mount : *record->mutable_mounts()) {
    if (mount.image().image().empty()) continue;
    auto leased = LeaseMounted(pods, holder, kind, container, &mount);
    if (!leased) return tl::unexpected(std::move(leased).error().About(ErrorSubject::kImageVolume));
  }
  return {};
}

Result<pod::CreateContainerResponse> CreateInShim(const PodInUse& in_use,
                                                  const PodTable::Member& member,
                                                  const spec::ContainerSpec& container,
                                                  const HandlerConfig& handler,
                                                  const CallContext& call) {
  const HostPath writable = WritableDirectory(*member.pod, member.container->id);
  RETURN_IF_ERROR(MakeDirectories(writable.value()));
  if (handler.writable_layer_limit > 0)
    RETURN_IF_ERROR(SetWritableLimit(writable, member.container->id, handler.writable_layer_limit));
  AbortStep();
  RETURN_IF_ERROR(PrepareMountSources(container));
  pod::CreateContainerRequest request;
  *request.mutable_container() = container;
  return in_use.shim->CreateContainer(request, call.deadline);
}

// Only now can anybody see the container.
Status Commit(Pods& pods, const PodTable::Member& member, record::ContainerRecord created,
              const CallContext& call) {
  std::lock_guard lock(member.pod->mutex);
  if (member.pod->state() != SandboxState::kReady) {
    return Fail(ErrorCode::kFailedPrecondition, "sandbox {} was stopped meanwhile",
                member.pod->id.value());
  }
  if (call.cancelled()) return Fail(ErrorCode::kAborted, "the caller has gone");
  // It may have been killed already, say by the kernel for lack of memory.
  if (member.container->record.has_exit()) {
    ApplyExit(created, member.container->record.exit(), /*presumed=*/false);
  } else {
    RETURN_IF_ERROR(Advance(created, ContainerEvent::kCreated));
  }
  created.set_published(true);
  RETURN_IF_ERROR(pods.records().Save(created));
  member.container->record = std::move(created);
  member.pod->Changed();
  return {};
}

Status MakeContainer(Pods& pods, const std::shared_ptr<Pod>& pod, const std::string& id,
                     const v1::CreateContainerRequest& request, const CallContext& call) {
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, pod, call));
  const Surroundings surroundings = SurroundingsOf(*pod);
  ASSIGN_OR_RETURN(const HandlerConfig* handler, pods.FindHandler(surroundings.handler));
  ASSIGN_OR_RETURN(const Image image,
                   FindImage(pods, "config.image.image", request.config().image()));
  if (!image.config.artifact_type.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "config.image.image: '{}' is wrong: must be an image, it is an artifact of type {}",
                request.config().image().image(), image.config.artifact_type);
  ASSIGN_OR_RETURN(const HostFacts host, HostFacts::Read());
  const ContainerId container_id(id);
  const ContainerInput input{.id = container_id,
                             .config = request.config(),
                             .sandbox_config = surroundings.config,
                             .sandbox = surroundings.sandbox,
                             .handler = *handler,
                             .image = image,
                             .host = host};
  ASSIGN_OR_RETURN(spec::ContainerSpec container, TranslateContainer(input));
  RETURN_IF_ERROR(ApplyHostSettings(pods, request.config(), *handler, call, &container));
  RETURN_IF_ERROR(CheckTarget(*pod, container));

  record::ContainerRecord record = NewRecord(pods, *pod, id, request, image, container);
  if (pods.config().nri.enabled)
    record.set_nri_container(NriConfiguration(record, container, surroundings.sandbox));
  ASSIGN_OR_RETURN(const PodTable::Member member, RecordCreation(pods, pod, record));
  Cleanup roll_back([&] { DiscardContainer(pods, member); });

  RETURN_IF_ERROR(AdjustForPlugins(pods, member, input, call, &record, &container));
  Timeline timeline(pods, handler->name, call);
  RETURN_IF_ERROR(timeline.Step(
      "image", [&] { return LeaseImages(pods, member, image, *handler, &container, &record); }));
  ASSIGN_OR_RETURN(const pod::CreateContainerResponse created, timeline.Step("create", [&] {
    return CreateInShim(in_use, member, container, *handler, call);
  }));
  *record.mutable_user() = created.user();
  record.set_pid(created.pid());
  timeline.AppendTo(record);
  RETURN_IF_ERROR(Commit(pods, member, std::move(record), call));
  roll_back.Dismiss();
  TellContainerChanged(pods, nri::POST_CREATE_CONTAINER, member, call);
  return {};
}

// The kubelet tells this failure from others by the beginning of the text (k8s.io/cri-api,
// pkg/errors, ErrImageVolumeMountFailed).
Error AsTheKubeletReads(Error error) {
  if (error.subject != ErrorSubject::kImageVolume) return error;
  return std::move(error).While("ImageVolumeMountFailed");
}

// The container that had the name already, with the same configuration.
Result<v1::CreateContainerResponse> Existing(Pods& pods, const std::string& id) {
  auto member = pods.table().FindContainer(id);
  std::unique_lock<std::mutex> lock;
  if (member) lock = std::unique_lock(member.pod->mutex);
  if (!member || member.container->state() != ContainerState::kCreated) {
    return Fail(ErrorCode::kAlreadyExists, "its name belongs to container {}, which was started",
                id);
  }
  v1::CreateContainerResponse response;
  response.set_container_id(id);
  return response;
}

}  // namespace

Result<v1::CreateContainerResponse> CreateContainer(const v1::CreateContainerRequest& request,
                                                    const CallContext& call, Pods& pods) {
  ASSIGN_OR_RETURN(auto pod, RequirePod(pods, "pod_sandbox_id", request.pod_sandbox_id()));
  ASSIGN_OR_RETURN(const std::string name, ContainerName(request.config().metadata(),
                                                         SurroundingsOf(*pod).config.metadata()));
  v1::CreateContainerRequest full = request;
  full.set_pod_sandbox_id(pod->id.value());
  ASSIGN_OR_RETURN(const std::string id, NewId());
  ASSIGN_OR_RETURN(const auto claim,
                   pods.container_names().Claim(name, id, Fingerprint(full), call));
  if (!claim.is_new) return Existing(pods, claim.id);

  if (auto made = MakeContainer(pods, pod, id, full, call); !made) {
    const Error error = AsTheKubeletReads(std::move(made).error());
    pods.container_names().Release(name, id, error);
    return tl::unexpected(error);
  }
  pods.container_names().Settle(name, id);
  v1::CreateContainerResponse response;
  response.set_container_id(id);
  return response;
}

}  // namespace catamaran
