#include "cri/pods/nri_events.h"

#include "cri/nri/describe.h"
#include "cri/pods/nri_updates.h"
#include "cri/pods/nri_view.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kBackgroundLimit{60};

nri::SynchronizeRequest Snapshot(Pods& pods) {
  nri::SynchronizeRequest everything;
  for (const auto& pod : pods.table().Pods()) {
    std::lock_guard lock(pod->mutex);
    if (!pod->nri.known) continue;
    *everything.add_pods() = NriPod(pod->record);
    for (const auto& [id, container] : pod->containers)
      if (container->nri.known) *everything.add_containers() = NriContainer(container->record);
  }
  return everything;
}

nri::EventRequest Describe(Pod& pod) {
  std::lock_guard lock(pod.mutex);
  nri::EventRequest request;
  *request.mutable_pod() = NriPod(pod.record);
  return request;
}

nri::EventRequest Describe(const PodTable::Member& member) {
  std::lock_guard lock(member.pod->mutex);
  nri::EventRequest request;
  *request.mutable_pod() = NriPod(member.pod->record);
  *request.mutable_container() = NriContainer(member.container->record);
  return request;
}

// A claim of something that is told once.
template <typename Change>
NriPlugins::Claim Once(Pod& pod, Change change) {
  return [&pod, change] {
    std::lock_guard lock(pod.mutex);
    return change();
  };
}

}  // namespace

NriHost NriHostOf(Pods& pods) {
  return {.snapshot = [&pods] { return Snapshot(pods); },
          .update =
              [&pods](const auto& updates, const auto& evictions) {
                EvictForPlugins(pods, evictions);
                return UpdateForPlugins(pods, updates,
                                        {.deadline = Deadline::After(kBackgroundLimit)});
              },
          .notice = [&pods](const std::string& text) { pods.Notice(text); }};
}

void MarkKnownToPlugins(Pod& pod) {
  pod.nri = {.known = pod.record.published(), .stopped = pod.record.torn_down()};
  for (auto& [id, container] : pod.containers) {
    const record::ContainerRecord& record = container->record;
    container->nri = {.known = record.published(),
                      .started = record.started_at_ns() != 0,
                      .stopped = record.has_exit()};
  }
}

Status TellSandboxRuns(Pods& pods, const std::shared_ptr<Pod>& pod, const record::PodRecord& ready,
                       const CallContext& call) {
  return pods.nri().Tell(
      nri::RUN_POD_SANDBOX, Once(*pod, [&pod] { return pod->nri.known = true; }),
      [&] {
        nri::EventRequest request;
        *request.mutable_pod() = NriPod(ready);
        return request;
      },
      call.deadline);
}

Status TellSandboxUpdate(Pods& pods, Pod& pod,
                         const runtime::v1::UpdatePodSandboxResourcesRequest& wanted,
                         const CallContext& call) {
  if (!pods.nri().any()) return {};
  nri::UpdatePodSandboxRequest request;
  *request.mutable_pod() = Describe(pod).pod();
  *request.mutable_overhead_linux_resources() = DescribeResources(wanted.overhead());
  *request.mutable_linux_resources() = DescribeResources(wanted.resources());
  return pods.nri().UpdatePodSandbox(request, call.deadline);
}

void TellSandboxUpdated(Pods& pods, Pod& pod, const CallContext& call) {
  (void)pods.nri().Tell(
      nri::POST_UPDATE_POD_SANDBOX, nullptr, [&] { return Describe(pod); }, call.deadline);
}

void TellSandboxStopped(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  const auto claim = Once(*pod, [&pod] {
    if (!pod->nri.known || pod->nri.stopped || !pod->record.published()) return false;
    return pod->nri.stopped = true;
  });
  (void)pods.nri().Tell(
      nri::STOP_POD_SANDBOX, claim, [&] { return Describe(*pod); }, call.deadline);
}

void TellSandboxRemoved(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  const auto claim = Once(*pod, [&pod] { return std::exchange(pod->nri.known, false); });
  (void)pods.nri().Tell(
      nri::REMOVE_POD_SANDBOX, claim, [&] { return Describe(*pod); }, call.deadline);
}

Status TellContainerStarts(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  const auto claim = Once(*member.pod, [&member] { return member.container->nri.started = true; });
  return pods.nri().Tell(
      nri::START_CONTAINER, claim, [&] { return Describe(member); }, call.deadline);
}

void TellContainerStopped(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  const auto claim = Once(*member.pod, [&member] {
    ToldToPlugins& told = member.container->nri;
    if (!told.known || !told.started || told.stopped || !member.container->record.has_exit())
      return false;
    return told.stopped = true;
  });
  const PluginAnswers answers = pods.nri().StopContainer(
      claim, [&] { return Describe(member); }, call.deadline);
  if (answers.updates().empty() && answers.evictions().empty()) return;
  // Not here: whoever updates a container takes its Turn, and the caller has one already.
  pods.background().Run([&pods, updates = answers.updates(), evictions = answers.evictions()] {
    EvictForPlugins(pods, evictions);
    for (const auto& failed :
         UpdateForPlugins(pods, updates, {.deadline = Deadline::After(kBackgroundLimit)}))
      pods.Notice({.container = failed.container_id()}, "an NRI plugin's update of it failed");
  });
}

void TellContainerRemoved(Pods& pods, const PodTable::Member& member, const CallContext& call) {
  const auto claim =
      Once(*member.pod, [&member] { return std::exchange(member.container->nri.known, false); });
  (void)pods.nri().Tell(
      nri::REMOVE_CONTAINER, claim, [&] { return Describe(member); }, call.deadline);
}

void TellContainerChanged(Pods& pods, nri::Event event, const PodTable::Member& member,
                          const CallContext& call) {
  (void)pods.nri().Tell(
      event, nullptr, [&] { return Describe(member); }, call.deadline);
}

void TellContainersStopped(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call) {
  if (!pods.nri().any()) return;
  std::vector<PodTable::Member> members;
  {
    std::lock_guard lock(pod->mutex);
    for (const auto& [id, container] : pod->containers) members.push_back({pod, container});
  }
  for (const auto& member : members) {
    if (auto turn = Turn::Take(pod, member.container->changing, call.deadline, call))
      TellContainerStopped(pods, member, call);
  }
}

void TellExitInBackground(Pods& pods, const std::shared_ptr<Pod>& pod,
                          const std::string& container) {
  // A plugin that joins from here on finds it stopped in what it is given.
  if (!pods.nri().any()) return;
  pods.background().Run([&pods, pod, container] {
    const auto member = pods.table().FindContainer(container);
    if (!member) return;
    const CallContext call{.deadline = Deadline::After(kBackgroundLimit)};
    if (auto turn = Turn::Take(pod, member.container->changing, call.deadline, call))
      TellContainerStopped(pods, member, call);
  });
}

}  // namespace catamaran
