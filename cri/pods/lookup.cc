#include "cri/pods/lookup.h"

#include "cri/translate/translate.h"

namespace catamaran {

Result<std::shared_ptr<Pod>> FindPod(Pods& pods, const std::string& field, const std::string& id) {
  RETURN_IF_ERROR(CheckId(field, id));
  auto pod = pods.table().FindPod(id);
  if (!pod) return pod;
  std::lock_guard lock(pod->mutex);
  return pod->record.published() ? pod : nullptr;
}

Result<PodTable::Member> FindContainer(Pods& pods, const std::string& field,
                                       const std::string& id) {
  RETURN_IF_ERROR(CheckId(field, id));
  auto member = pods.table().FindContainer(id);
  if (!member) return member;
  std::lock_guard lock(member.pod->mutex);
  return member.container->record.published() ? member : PodTable::Member();
}

Result<std::shared_ptr<Pod>> RequirePod(Pods& pods, const std::string& field,
                                        const std::string& id) {
  ASSIGN_OR_RETURN(auto pod, FindPod(pods, field, id));
  if (!pod) return Fail(ErrorCode::kNotFound, "{}: there is no sandbox \"{}\"", field, id);
  return pod;
}

Result<PodTable::Member> RequireContainer(Pods& pods, const std::string& field,
                                          const std::string& id) {
  ASSIGN_OR_RETURN(auto member, FindContainer(pods, field, id));
  if (!member) return Fail(ErrorCode::kNotFound, "{}: there is no container \"{}\"", field, id);
  return member;
}

Status RequireRunning(const PodTable::Member& member, const char* why) {
  std::lock_guard lock(member.pod->mutex);
  if (member.container->state() == ContainerState::kRunning) return {};
  return Fail(ErrorCode::kFailedPrecondition, "container {} is {}: {}",
              member.container->id.value(), Name(member.container->state()), why);
}

}  // namespace catamaran
