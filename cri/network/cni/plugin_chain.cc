#include "cri/network/cni/plugin_chain.h"

#include "cri/network/cni/cni_result.h"
#include "cri/network/cni/json_text.h"
#include "cri/network/cni/runtime_config.h"

namespace catamaran {
namespace {

using nlohmann::json;

PluginCall CallFor(const char* command, const network::CniAttachment& attachment,
                   int inherited_fd = -1) {
  return {.command = command,
          .container_id = attachment.pod_id(),
          .netns = attachment.netns(),
          .interface = attachment.interface(),
          .args = attachment.arguments(),
          .inherited_fd = inherited_fd};
}

// Of what this program wrote itself: a damaged text counts as none.
json StoredObject(const std::string& text) {
  auto parsed = text.empty() ? Result<json>(json()) : ParseJsonObject(text, "record");
  return parsed ? std::move(*parsed) : json();
}

json CapabilitiesOf(const network::CniAttachment& attachment) {
  json stored = StoredObject(attachment.capabilities());
  return stored.is_object() ? stored : json::object();
}

Status Refusal(const PluginAnswer& answer) { return tl::unexpected<Error>(answer.error); }

}  // namespace

json PluginChain::RequestFor(const CniPlugin& plugin, const json& capabilities) const {
  json request = plugin.config;
  // A plugin without a version of its own answers in that of 0.1.0.
  request["cniVersion"] = network_.version.Text();
  request["name"] = network_.name;
  if (json config = RuntimeConfigFor(plugin, capabilities); !config.empty())
    request["runtimeConfig"] = std::move(config);
  return request;
}

Result<json> PluginChain::Add(const network::CniAttachment& attachment, int inherited_fd,
                              Deadline deadline) const {
  const json capabilities = CapabilitiesOf(attachment);
  json previous;
  for (const auto& plugin : network_.plugins) {
    json request = RequestFor(plugin, capabilities);
    if (!previous.is_null()) request["prevResult"] = previous;
    ASSIGN_OR_RETURN(auto answer, runner_.Run(plugin.type, CallFor("ADD", attachment, inherited_fd),
                                              request, deadline));
    if (!answer.ok) return tl::unexpected(std::move(answer.error));
    const std::string source = fmt::format("CNI plugin {} (ADD): its answer", plugin.type);
    if (answer.result.is_null())
      return Fail(ErrorCode::kInternal, "{}: empty: must be a result", source);
    RETURN_IF_ERROR(ParseCniResult(answer.result, source).map([](const CniResult&) {}));
    previous = ResultForVersion(std::move(answer.result), network_.version);
  }
  return previous;
}

Status PluginChain::Delete(const network::CniAttachment& attachment, int inherited_fd,
                           Deadline deadline) const {
  const json capabilities = CapabilitiesOf(attachment);
  const json result = StoredObject(attachment.result());
  for (auto plugin = network_.plugins.rbegin(); plugin != network_.plugins.rend(); ++plugin) {
    json request = RequestFor(*plugin, capabilities);
    if (network_.version.has_check() && !result.is_null()) request["prevResult"] = result;
    ASSIGN_OR_RETURN(
        const auto answer,
        runner_.Run(plugin->type, CallFor("DEL", attachment, inherited_fd), request, deadline));
    // It never knew the pod, or knows it no more.
    if (!answer.ok && answer.error_code != kCniUnknownContainer) return Refusal(answer);
  }
  return {};
}

Status PluginChain::Check(const network::CniAttachment& attachment, Deadline deadline) const {
  if (!network_.version.has_check() || network_.disable_check) return {};
  const json capabilities = CapabilitiesOf(attachment);
  const json result = StoredObject(attachment.result());
  if (result.is_null()) return {};
  for (const auto& plugin : network_.plugins) {
    json request = RequestFor(plugin, capabilities);
    request["prevResult"] = result;
    ASSIGN_OR_RETURN(const auto answer,
                     runner_.Run(plugin.type, CallFor("CHECK", attachment), request, deadline));
    if (!answer.ok) return Refusal(answer);
  }
  return {};
}

Status PluginChain::CollectGarbage(const std::vector<network::CniAttachment>& valid,
                                   Deadline deadline) const {
  if (!network_.version.has_gc_and_status() || network_.disable_gc) return {};
  json attachments = json::array();
  for (const auto& attachment : valid)
    attachments.push_back(
        {{"containerID", attachment.pod_id()}, {"ifname", attachment.interface()}});
  std::string failures;
  for (const auto& plugin : network_.plugins) {
    json request = RequestFor(plugin, json::object());
    request["cni.dev/valid-attachments"] = attachments;
    // What libcni 1.2 called it, and the plugins of its time read.
    request["cni.dev/attachments"] = attachments;
    const auto answer = runner_.Run(plugin.type, {.command = "GC"}, request, deadline);
    const Error* error = !answer ? &answer.error() : !answer->ok ? &answer->error : nullptr;
    if (error != nullptr) failures += (failures.empty() ? "" : "; ") + error->message;
  }
  if (failures.empty()) return {};
  return Fail(ErrorCode::kInternal, "{}", failures);
}

Status PluginChain::AskStatus(Deadline deadline) const {
  if (!network_.version.has_gc_and_status()) return {};
  for (const auto& plugin : network_.plugins) {
    ASSIGN_OR_RETURN(const auto answer, runner_.Run(plugin.type, {.command = "STATUS"},
                                                    RequestFor(plugin, json::object()), deadline));
    if (!answer.ok) return Refusal(answer);
  }
  return {};
}

}  // namespace catamaran
