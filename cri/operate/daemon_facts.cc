#include "cri/operate/daemon_facts.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "cri/base/redact.h"

namespace catamaran {
namespace {

using nlohmann::json;

json ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok())
    return {{"error", "it cannot be shown as JSON"}};
  return json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// An answer, or why there is none. What is JSON inside a string (verbose info) is shown as such, so
// that it is redacted by its keys.
template <typename Response>
json Show(const Result<Response>& response) {
  if (!response) return {{"error", response.error().message}};
  json shown = ToJson(*response);
  if (shown.is_object() && shown.contains("info"))
    for (const auto& [key, value] : shown["info"].items()) {
      json inner = value.is_string()
                       ? json::parse(value.template get<std::string>(), nullptr, false)
                       : json();
      if (inner.is_structured()) value = std::move(inner);
    }
  return shown;
}

std::string Text(json value) {
  RedactJson(&value);
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

json PodsInDetail(CriClient& cri) {
  const auto pods = cri.ListPodSandbox({});
  if (!pods) return Show(pods);
  json all = json::array();
  for (const v1::PodSandbox& pod : pods->items()) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod.id());
    request.set_verbose(true);
    all.push_back(Show(cri.PodSandboxStatus(request)));
  }
  return all;
}

json ContainersInDetail(CriClient& cri) {
  const auto containers = cri.ListContainers({});
  if (!containers) return Show(containers);
  json all = json::array();
  for (const v1::Container& container : containers->containers()) {
    v1::ContainerStatusRequest request;
    request.set_container_id(container.id());
    request.set_verbose(true);
    all.push_back(Show(cri.ContainerStatus(request)));
  }
  return all;
}

}  // namespace

void CollectDaemonFacts(CriClient& cri,
                        const std::function<void(const std::string&, const std::string&)>& add) {
  v1::StatusRequest verbose;
  verbose.set_verbose(true);
  add("daemon/version.json", Text(Show(cri.Version({}))));
  add("daemon/status.json", Text(Show(cri.Status(verbose))));
  add("daemon/pods.json", Text(PodsInDetail(cri)));
  add("daemon/containers.json", Text(ContainersInDetail(cri)));
  add("daemon/stats.json", Text(Show(cri.ListPodSandboxStats({}))));
  add("daemon/images.json", Text(Show(cri.ListImages({}))));
  add("daemon/image-file-systems.json", Text(Show(cri.ImageFsInfo({}))));
}

}  // namespace catamaran
