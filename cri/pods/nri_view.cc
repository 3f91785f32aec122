#include "cri/pods/nri_view.h"

#include "cri/nri/describe.h"

namespace catamaran {
namespace {

nri::ContainerState StateOf(const record::ContainerRecord& record) {
  if (record.has_exit()) return nri::CONTAINER_STOPPED;
  switch (static_cast<ContainerState>(record.state())) {
    case ContainerState::kCreating:
    case ContainerState::kCreated:
      return nri::CONTAINER_CREATED;
    case ContainerState::kRunning:
      return nri::CONTAINER_RUNNING;
    case ContainerState::kUnknown:
      return nri::CONTAINER_UNKNOWN;
    case ContainerState::kExited:
    case ContainerState::kRemoving:
      break;
  }
  return nri::CONTAINER_STOPPED;
}

}  // namespace

nri::PodSandbox NriPod(const record::PodRecord& record) {
  nri::PodSandbox out;
  const auto& metadata = record.config().metadata();
  out.set_id(record.pod_id());
  out.set_name(metadata.name());
  out.set_uid(metadata.uid());
  out.set_namespace_(metadata.namespace_());
  *out.mutable_labels() = record.config().labels();
  *out.mutable_annotations() = record.config().annotations();
  out.set_runtime_handler(record.runtime_handler());
  *out.mutable_linux() = DescribePod(record.sandbox(), record.config());
  if (record.has_overhead())
    *out.mutable_linux()->mutable_pod_overhead() = DescribeResources(record.overhead());
  if (record.has_resources())
    *out.mutable_linux()->mutable_pod_resources() = DescribeResources(record.resources());
  *out.mutable_ips() = record.ips();
  return out;
}

nri::Container NriContainer(const record::ContainerRecord& record) {
  nri::Container out;
  // One that was made while plugins were disabled has no more than what its request says.
  if (!out.ParseFromString(record.nri_container()) || record.nri_container().empty()) {
    *out.mutable_annotations() = record.config().annotations();
    for (const auto& word : record.config().command()) out.add_args(word);
    for (const auto& word : record.config().args()) out.add_args(word);
  }
  out.set_id(record.container_id());
  out.set_pod_sandbox_id(record.pod_id());
  out.set_name(record.config().metadata().name());
  out.set_state(StateOf(record));
  *out.mutable_labels() = record.config().labels();
  out.set_pid(static_cast<uint32_t>(record.pid()));
  out.set_created_at(record.created_at_ns());
  out.set_started_at(record.started_at_ns());
  if (record.has_exit()) {
    out.set_finished_at(record.exit().exited_at_ns());
    out.set_exit_code(record.exit().exit_code());
    out.set_status_reason(record.reason());
    out.set_status_message(record.message());
  }
  nri::LinuxResources resources = DescribeResources(record.resources());
  if (out.linux().resources().has_pids())
    *resources.mutable_pids() = out.linux().resources().pids();
  *out.mutable_linux()->mutable_resources() = std::move(resources);
  out.mutable_user()->set_uid(record.user().uid());
  out.mutable_user()->set_gid(record.user().gid());
  *out.mutable_user()->mutable_additional_gids() = record.user().groups();
  out.mutable_image()->set_name(record.image_name());
  out.mutable_image()->set_digest(record.image_ref());
  out.mutable_image()->set_config_digest(record.image_id());
  return out;
}

std::string NriConfiguration(const record::ContainerRecord& record,
                             const spec::ContainerSpec& container,
                             const spec::SandboxSpec& sandbox) {
  nri::Container out = DescribeContainer(container, sandbox);
  *out.mutable_annotations() = record.config().annotations();
  return out.SerializeAsString();
}

}  // namespace catamaran
