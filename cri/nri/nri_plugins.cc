#include "cri/nri/nri_plugins.h"

#include <algorithm>

#include "cri/nri/describe.h"
#include "cri/translate/fields.h"

namespace catamaran {

NriPlugins::NriPlugins(NriConfig config, NriHost host)
    : config_(std::move(config)), host_(std::move(host)) {}

NriPlugins::PluginList NriPlugins::Claimed(nri::Event event, const Claim& claim, bool* claimed) {
  std::lock_guard lock(order_);
  *claimed = !claim || claim();
  PluginList listeners;
  if (!*claimed) return listeners;
  std::copy_if(plugins_.begin(), plugins_.end(), std::back_inserter(listeners),
               [&](const auto& plugin) { return plugin->Wants(event) && !plugin->closed(); });
  return listeners;
}

Status NriPlugins::Tell(nri::Event event, const Claim& claim, const Describe& describe,
                        Deadline deadline) {
  bool claimed = false;
  const PluginList listeners = Claimed(event, claim, &claimed);
  if (listeners.empty()) return {};
  const nri::EventRequest request = describe();
  if (event == nri::REMOVE_CONTAINER) {
    std::lock_guard lock(order_);
    for (const auto& plugin : listeners) plugin->seen_stopped.erase(request.container().id());
  }
  for (const auto& plugin : listeners) {
    Status told;
    if (auto turn = plugin->TakeTurn(deadline)) {
      told = plugin->Tell(event, request);
    } else {
      told = tl::unexpected(std::move(turn).error());
    }
    if (told) continue;
    if (MayBeRefused(event)) return told;
    host_.notice(fmt::format("{}: {}", MethodOf(event), told.error().message));
  }
  return {};
}

Status NriPlugins::UpdatePodSandbox(const nri::UpdatePodSandboxRequest& request,
                                    Deadline deadline) {
  bool claimed = false;
  for (const auto& plugin : Claimed(nri::UPDATE_POD_SANDBOX, nullptr, &claimed)) {
    ASSIGN_OR_RETURN(const auto turn, plugin->TakeTurn(deadline));
    RETURN_IF_ERROR(plugin->Ask(MethodOf(nri::UPDATE_POD_SANDBOX), request.SerializeAsString()));
  }
  return {};
}

Result<PluginAnswers> NriPlugins::CreateContainer(const Claim& claim,
                                                  const nri::EventRequest& request,
                                                  Deadline deadline) {
  PluginAnswers answers(request.container().id());
  bool claimed = false;
  const PluginList listeners = Claimed(nri::CREATE_CONTAINER, claim, &claimed);
  nri::EventRequest shown = request;
  for (const auto& plugin : listeners) {
    ASSIGN_OR_RETURN(const auto turn, plugin->TakeTurn(deadline));
    *shown.mutable_container() = DescribeAdjusted(request.container(), answers.adjustment());
    ASSIGN_OR_RETURN(const NriReply answer,
                     plugin->Ask(MethodOf(nri::CREATE_CONTAINER), shown.SerializeAsString()));
    if (!answer) continue;
    nri::CreateContainerResponse response;
    if (!response.ParseFromString(answer.payload))
      return Fail(ErrorCode::kUnknown, "NRI plugin {}: no CreateContainerResponse",
                  plugin->full_name());
    RETURN_IF_ERROR(answers.Add(response, plugin->full_name()));
  }
  RETURN_IF_ERROR(Validate(request, listeners, answers, deadline));
  return answers;
}

// A plugin that validates and does not answer rejects: what it is there to forbid must not pass
// because it hangs.
Status NriPlugins::Validate(const nri::EventRequest& request, const PluginList& asked,
                            const PluginAnswers& answers, Deadline deadline) {
  bool claimed = false;
  const PluginList validators = Claimed(nri::VALIDATE_CONTAINER_ADJUSTMENT, nullptr, &claimed);
  if (validators.empty()) return {};
  nri::ValidateContainerAdjustmentRequest validate;
  *validate.mutable_pod() = request.pod();
  *validate.mutable_container() = request.container();
  *validate.mutable_adjust() = answers.adjustment();
  for (const auto& update : answers.updates()) *validate.add_update() = update;
  *validate.mutable_owners() = answers.owners();
  for (const auto& plugin : asked) {
    nri::PluginInstance* instance = validate.add_plugins();
    instance->set_index(plugin->index());
    instance->set_name(plugin->name());
  }
  const std::string payload = validate.SerializeAsString();
  for (const auto& plugin : validators) {
    ASSIGN_OR_RETURN(const auto turn, plugin->TakeTurn(deadline));
    ASSIGN_OR_RETURN(const NriReply answer,
                     plugin->Ask(MethodOf(nri::VALIDATE_CONTAINER_ADJUSTMENT), payload));
    if (!answer && plugin->closed())
      return Fail(ErrorCode::kUnavailable, "NRI plugin {}, which validates, does not answer",
                  plugin->full_name());
    nri::ValidateContainerAdjustmentResponse response;
    if (answer && !response.ParseFromString(answer.payload))
      return Fail(ErrorCode::kUnknown, "NRI plugin {}: no ValidateContainerAdjustmentResponse",
                  plugin->full_name());
    if (response.reject())
      return Fail(ErrorCode::kFailedPrecondition, "NRI plugin {} rejects the container: {}",
                  plugin->full_name(), Printable(response.reason()));
  }
  return {};
}

Result<PluginAnswers> NriPlugins::UpdateContainer(const nri::UpdateContainerRequest& request,
                                                  Deadline deadline) {
  const std::string& container = request.container().id();
  PluginAnswers answers(container);
  bool claimed = false;
  nri::UpdateContainerRequest shown = request;
  for (const auto& plugin : Claimed(nri::UPDATE_CONTAINER, nullptr, &claimed)) {
    ASSIGN_OR_RETURN(const auto turn, plugin->TakeTurn(deadline));
    ASSIGN_OR_RETURN(const NriReply answer,
                     plugin->Ask(MethodOf(nri::UPDATE_CONTAINER), shown.SerializeAsString()));
    if (!answer) continue;
    nri::UpdateContainerResponse response;
    if (!response.ParseFromString(answer.payload))
      return Fail(ErrorCode::kUnknown, "NRI plugin {}: no UpdateContainerResponse",
                  plugin->full_name());
    RETURN_IF_ERROR(answers.Add(response, plugin->full_name()));
    *shown.mutable_linux_resources() = request.linux_resources();
    for (const auto& update : answers.updates())
      if (update.container_id() == container)
        shown.mutable_linux_resources()->MergeFrom(update.linux().resources());
  }
  return answers;
}

PluginAnswers NriPlugins::StopContainer(const Claim& claim, const Describe& describe,
                                        Deadline deadline) {
  bool claimed = false;
  const PluginList listeners = Claimed(nri::STOP_CONTAINER, claim, &claimed);
  if (listeners.empty()) return PluginAnswers("");
  const nri::EventRequest request = describe();
  const std::string& container = request.container().id();
  PluginAnswers answers(container);
  for (const auto& plugin : listeners) {
    const auto ask = [&]() -> Status {
      {
        std::lock_guard lock(order_);
        if (plugin->seen_stopped.erase(container) > 0) return {};
      }
      ASSIGN_OR_RETURN(const auto turn, plugin->TakeTurn(deadline));
      ASSIGN_OR_RETURN(const NriReply answer,
                       plugin->Ask(MethodOf(nri::STOP_CONTAINER), request.SerializeAsString()));
      nri::UpdateContainerResponse response;
      if (answer && !response.ParseFromString(answer.payload))
        return Fail(ErrorCode::kUnknown, "NRI plugin {}: no StopContainerResponse",
                    plugin->full_name());
      return answers.Add(response, plugin->full_name());
    };
    if (auto asked = ask(); !asked)
      host_.notice(fmt::format("StopContainer: {}", asked.error().message));
  }
  return answers;
}

}  // namespace catamaran
