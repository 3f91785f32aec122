#include "cri/nri/apply_adjustment.h"
#include "cri/nri/describe.h"
#include "cri/pods/host_settings.h"
#include "cri/pods/nri_updates.h"
#include "cri/pods/nri_view.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

// The request as plugins want it, translated by the same rules as any.
Result<spec::ContainerSpec> Adjusted(Pods& pods, const nri::ContainerAdjustment& adjustment,
                                     const ContainerInput& input, const CallContext& call,
                                     runtime::v1::ContainerConfig* config) {
  RETURN_IF_ERROR(AdjustRequest(adjustment, config));
  ASSIGN_OR_RETURN(spec::ContainerSpec container,
                   TranslateContainer({.id = input.id,
                                       .config = *config,
                                       .sandbox_config = input.sandbox_config,
                                       .sandbox = input.sandbox,
                                       .handler = input.handler,
                                       .image = input.image,
                                       .host = input.host}));
  RETURN_IF_ERROR(ApplyHostSettings(pods, *config, input.handler, call, &container));
  RETURN_IF_ERROR(AdjustSpec(adjustment, &container));
  return container;
}

// A record of what the container has now, which is what later plugins and ContainerStatus see.
void EnterAdjustment(const nri::ContainerAdjustment& adjustment,
                     const runtime::v1::ContainerConfig& config, record::ContainerRecord* record) {
  *record->mutable_resources() = config.linux().resources();
  *record->mutable_mounts() = config.mounts();
  nri::Container shown;
  if (shown.ParseFromString(record->nri_container()))
    record->set_nri_container(DescribeAdjusted(shown, adjustment).SerializeAsString());
}

}  // namespace

Status AdjustForPlugins(Pods& pods, const PodTable::Member& member, const ContainerInput& input,
                        const CallContext& call, record::ContainerRecord* record,
                        spec::ContainerSpec* container) {
  nri::EventRequest request;
  {
    std::lock_guard lock(member.pod->mutex);
    *request.mutable_pod() = NriPod(member.pod->record);
  }
  *request.mutable_container() = NriContainer(*record);
  const auto claim = [&member] {
    std::lock_guard lock(member.pod->mutex);
    return member.container->nri.known = true;
  };
  ASSIGN_OR_RETURN(const PluginAnswers answers,
                   pods.nri().CreateContainer(claim, request, call.deadline));
  RETURN_IF_ERROR(CarryOutForPlugins(pods, answers.updates(), answers.evictions(), call));
  const nri::ContainerAdjustment& adjustment = answers.adjustment();
  if (adjustment.ByteSizeLong() == 0) return {};
  runtime::v1::ContainerConfig config = input.config;
  auto adjusted = Adjusted(pods, adjustment, input, call, &config);
  if (!adjusted)
    return tl::unexpected(std::move(adjusted).error().While("the adjustment by NRI plugins"));
  *container = *std::move(adjusted);
  EnterAdjustment(adjustment, config, record);
  return {};
}

}  // namespace catamaran
