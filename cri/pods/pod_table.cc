#include "cri/pods/pod_table.h"

#include <mutex>

namespace catamaran {
namespace {

template <typename Value>
Value FindByPrefix(const std::map<std::string, Value>& map, const std::string& id) {
  auto found = map.lower_bound(id);
  if (found == map.end()) return {};
  if (found->first == id) return found->second;
  if (id.size() < PodTable::kShortestPrefix || !found->first.starts_with(id)) return {};
  auto next = std::next(found);
  if (next != map.end() && next->first.starts_with(id)) return {};
  return found->second;
}

}  // namespace

void PodTable::Add(const std::shared_ptr<Pod>& pod) {
  std::unique_lock lock(mutex_);
  pods_[pod->id.value()] = pod;
}

void PodTable::Add(const std::shared_ptr<Pod>& pod, const std::shared_ptr<Container>& container) {
  std::unique_lock lock(mutex_);
  containers_[container->id.value()] = {pod, container};
}

void PodTable::Remove(const PodId& pod) {
  std::unique_lock lock(mutex_);
  pods_.erase(pod.value());
  std::erase_if(containers_, [&](const auto& entry) { return entry.second.pod->id == pod; });
}

void PodTable::Remove(const ContainerId& container) {
  std::unique_lock lock(mutex_);
  containers_.erase(container.value());
}

std::shared_ptr<Pod> PodTable::FindPod(const std::string& id) const {
  std::shared_lock lock(mutex_);
  return FindByPrefix(pods_, id);
}

PodTable::Member PodTable::FindContainer(const std::string& id) const {
  std::shared_lock lock(mutex_);
  return FindByPrefix(containers_, id);
}

std::vector<std::shared_ptr<Pod>> PodTable::Pods() const {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<Pod>> pods;
  pods.reserve(pods_.size());
  for (const auto& [id, pod] : pods_) pods.push_back(pod);
  return pods;
}

}  // namespace catamaran
