#include "cri/pods/cri_view.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "cri/base/redact.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;
using nlohmann::json;

// Who may read a status need not know what a pod keeps secret. Bytes that are no UTF-8 (an
// environment value may hold any) are shown replaced, not refused.
std::map<std::string, std::string> Info(json value) {
  RedactJson(&value);
  return {{"info", value.dump(-1, ' ', false, json::error_handler_t::replace)}};
}

json ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return nullptr;
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

template <typename Record>
json TimelineJson(const Record& record) {
  json steps = json::array();
  for (const auto& step : record.timeline()) {
    steps.push_back({{"step", step.name()},
                     {"started_at_ns", step.started_at_ns()},
                     {"duration_ns", step.duration_ns()}});
  }
  return steps;
}

void SetImage(const record::ContainerRecord& record, v1::ImageSpec* image) {
  *image = record.config().image();
  if (image->user_specified_image().empty()) image->set_user_specified_image(image->image());
  image->set_image(record.image_name());
  image->set_image_ref(record.image_id());
  // Images are the same for every handler, and listed without one: the kubelet, which compares both
  // where its gate RuntimeClassInImageCriApi is on, must not take this one for unused.
  image->clear_runtime_handler();
}

}  // namespace

v1::PodSandboxState ToCri(SandboxState state) {
  return state == SandboxState::kReady ? v1::SANDBOX_READY : v1::SANDBOX_NOTREADY;
}

v1::ContainerState ToCri(ContainerState state) {
  switch (state) {
    case ContainerState::kCreating:
    case ContainerState::kCreated:
      return v1::CONTAINER_CREATED;
    case ContainerState::kRunning:
      return v1::CONTAINER_RUNNING;
    case ContainerState::kUnknown:
      return v1::CONTAINER_UNKNOWN;
    case ContainerState::kExited:
    case ContainerState::kRemoving:
      break;
  }
  return v1::CONTAINER_EXITED;
}

v1::PodSandbox SandboxItem(const record::PodRecord& record) {
  v1::PodSandbox item;
  item.set_id(record.pod_id());
  *item.mutable_metadata() = record.config().metadata();
  item.set_state(ToCri(static_cast<SandboxState>(record.state())));
  item.set_created_at(record.created_at_ns());
  *item.mutable_labels() = record.config().labels();
  *item.mutable_annotations() = record.config().annotations();
  item.set_runtime_handler(record.runtime_handler());
  return item;
}

v1::PodSandboxStatus SandboxStatus(const record::PodRecord& record) {
  v1::PodSandboxStatus status;
  status.set_id(record.pod_id());
  *status.mutable_metadata() = record.config().metadata();
  status.set_state(ToCri(static_cast<SandboxState>(record.state())));
  status.set_created_at(record.created_at_ns());
  // With the host's network the kubelet fills the address in itself.
  auto* network = status.mutable_network();
  if (!record.ips().empty() && !record.torn_down()) {
    network->set_ip(record.ips(0));
    for (int i = 1; i < record.ips_size(); ++i)
      network->add_additional_ips()->set_ip(record.ips(i));
  }
  // As it was asked for: the kubelet makes the sandbox anew where the two differ.
  *status.mutable_linux()->mutable_namespaces()->mutable_options() =
      record.config().linux().security_context().namespace_options();
  *status.mutable_labels() = record.config().labels();
  *status.mutable_annotations() = record.config().annotations();
  status.set_runtime_handler(record.runtime_handler());
  return status;
}

v1::Container ContainerItem(const record::ContainerRecord& record) {
  v1::Container item;
  item.set_id(record.container_id());
  item.set_pod_sandbox_id(record.pod_id());
  *item.mutable_metadata() = record.config().metadata();
  SetImage(record, item.mutable_image());
  item.set_image_ref(record.image_ref());
  item.set_image_id(record.image_id());
  item.set_state(ToCri(static_cast<ContainerState>(record.state())));
  item.set_created_at(record.created_at_ns());
  *item.mutable_labels() = record.config().labels();
  *item.mutable_annotations() = record.config().annotations();
  return item;
}

v1::ContainerStatus ContainerStatusOf(const record::ContainerRecord& record) {
  v1::ContainerStatus status;
  status.set_id(record.container_id());
  *status.mutable_metadata() = record.config().metadata();
  status.set_state(ToCri(static_cast<ContainerState>(record.state())));
  status.set_created_at(record.created_at_ns());
  status.set_started_at(record.started_at_ns());
  if (status.state() == v1::CONTAINER_EXITED) {
    status.set_finished_at(record.exit().exited_at_ns());
    status.set_exit_code(record.exit().exit_code());
    status.set_reason(record.reason());
    status.set_message(record.message());
  }
  SetImage(record, status.mutable_image());
  status.set_image_ref(record.image_ref());
  status.set_image_id(record.image_id());
  *status.mutable_labels() = record.config().labels();
  *status.mutable_annotations() = record.config().annotations();
  *status.mutable_mounts() = record.mounts();
  status.set_log_path(record.log_path());
  *status.mutable_resources()->mutable_linux() = record.resources();
  if (record.has_user()) {
    auto* user = status.mutable_user()->mutable_linux();
    user->set_uid(record.user().uid());
    user->set_gid(record.user().gid());
    for (uint32_t group : record.user().groups()) user->add_supplemental_groups(group);
  }
  status.set_stop_signal(CriSignal(record.stop_signal()));
  return status;
}

std::map<std::string, std::string> SandboxInfo(const Pod& pod) {
  const record::PodRecord& record = pod.record;
  json info = {{"handler", record.handler()},
               {"state", Name(pod.state())},
               {"reason", record.reason()},
               {"message", record.message()},
               {"shimConnected", pod.shim != nullptr},
               {"cgroup", record.sandbox().cgroup_path()},
               {"netNamespace", record.sandbox().network_namespace()},
               {"ips", std::vector<std::string>(record.ips().begin(), record.ips().end())},
               {"bootId", record.guest_boot_id()},
               {"kernelRelease", record.kernel_release()},
               {"details", std::map<std::string, std::string>(record.details().begin(),
                                                              record.details().end())},
               {"timeline", TimelineJson(record)},
               {"resources", ToJson(record.resources())},
               {"overhead", ToJson(record.overhead())},
               {"config", ToJson(record.config())}};
  for (const auto& [id, container] : pod.containers) {
    if (container->record.published())
      info["containers"][id] = {{"name", container->record.config().metadata().name()},
                                {"timeline", TimelineJson(container->record)}};
  }
  return Info(std::move(info));
}

std::map<std::string, std::string> ContainerInfo(const Container& container) {
  const record::ContainerRecord& record = container.record;
  return Info({{"sandboxID", record.pod_id()},
               {"pid", record.pid()},
               {"removing", container.state() == ContainerState::kRemoving},
               {"exitPresumed", record.exit_presumed()},
               {"timeline", TimelineJson(record)},
               {"config", ToJson(record.config())}});
}

}  // namespace catamaran
