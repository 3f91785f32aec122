#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "cri/base/notice.h"
#include "cri/pods/pod.h"

namespace catamaran {

// All pods and containers by id. Thread-safe; its lock is held for map operations only.
//
// An id may be given as a prefix of at least kShortestPrefix characters that fits one thing only.
class PodTable {
 public:
  static constexpr size_t kShortestPrefix = 6;

  void Add(const std::shared_ptr<Pod>& pod);
  void Add(const std::shared_ptr<Pod>& pod, const std::shared_ptr<Container>& container);
  void Remove(const PodId& pod);  // and the ids of its containers
  void Remove(const ContainerId& container);

  // Null where there is none.
  std::shared_ptr<Pod> FindPod(const std::string& id) const;

  struct Member {
    std::shared_ptr<Pod> pod;
    std::shared_ptr<Container> container;
    explicit operator bool() const { return container != nullptr; }
  };
  Member FindContainer(const std::string& id) const;

  std::vector<std::shared_ptr<Pod>> Pods() const;  // by id

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<Pod>> pods_;
  std::map<std::string, Member> containers_;
};

inline About AboutOf(const PodTable::Member& member) {
  return {member.pod->id.value(), member.container->id.value()};
}

}  // namespace catamaran
