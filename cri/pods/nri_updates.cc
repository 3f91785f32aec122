#include "cri/pods/nri_updates.h"

#include "cri/nri/apply_adjustment.h"
#include "cri/pods/container_stop.h"
#include "cri/translate/fields.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr seconds kTurnLimit{5};
constexpr seconds kEvictionGrace{10};
constexpr seconds kEvictionLimit{60};

Status UpdateOne(Pods& pods, const nri::ContainerUpdate& update, const CallContext& call) {
  const auto member = pods.table().FindContainer(update.container_id());
  if (!member || member.container->id.value() != update.container_id())
    return Fail(ErrorCode::kNotFound, "there is no container \"{}\"",
                Printable(update.container_id()));
  ASSIGN_OR_RETURN(const NriResourceUpdate wanted,
                   ReadNriResources(update.linux().resources(), "linux.resources"));
  ASSIGN_OR_RETURN(const auto turn,
                   Turn::Take(member.pod, member.container->changing,
                              call.deadline.Earlier(Deadline::After(kTurnLimit)), call));
  return UpdateResourcesOf(pods, member, wanted.resources, wanted.pids_limit, call);
}

}  // namespace

std::vector<nri::ContainerUpdate> UpdateForPlugins(Pods& pods,
                                                   const std::vector<nri::ContainerUpdate>& updates,
                                                   const CallContext& call) {
  std::vector<nri::ContainerUpdate> failed;
  for (const nri::ContainerUpdate& update : updates) {
    auto updated = UpdateOne(pods, update, call);
    if (updated) continue;
    pods.Notice({.container = Printable(update.container_id())},
                "an NRI plugin's update of it: " + updated.error().message);
    if (!update.ignore_failure()) failed.push_back(update);
  }
  return failed;
}

void EvictForPlugins(Pods& pods, const std::vector<nri::ContainerEviction>& evictions) {
  for (const nri::ContainerEviction& eviction : evictions) {
    const auto member = pods.table().FindContainer(eviction.container_id());
    if (!member || member.container->id.value() != eviction.container_id()) continue;
    pods.Notice(AboutOf(member), "is evicted by an NRI plugin: " + Printable(eviction.reason()));
    pods.background().Run([&pods, member] {
      const CallContext call{.deadline = Deadline::After(kEvictionLimit)};
      if (auto stopped = StopAndWait(pods, member, kEvictionGrace, call); !stopped)
        pods.Notice(AboutOf(member), "evict it: " + stopped.error().message);
    });
  }
}

Status CarryOutForPlugins(Pods& pods, const std::vector<nri::ContainerUpdate>& updates,
                          const std::vector<nri::ContainerEviction>& evictions,
                          const CallContext& call) {
  EvictForPlugins(pods, evictions);
  const auto failed = UpdateForPlugins(pods, updates, call);
  if (failed.empty()) return {};
  return Fail(ErrorCode::kFailedPrecondition, "an NRI plugin's update of container {} failed",
              Printable(failed.front().container_id()));
}

}  // namespace catamaran
