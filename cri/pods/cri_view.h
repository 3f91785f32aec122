#pragma once

#include <map>
#include <string>

#include "cri/pods/pod.h"

namespace catamaran {

// Records as the CRI shows them. Callers of what takes a Pod or a Container hold the pod's mutex.

::runtime::v1::PodSandboxState ToCri(SandboxState state);
::runtime::v1::ContainerState ToCri(ContainerState state);

::runtime::v1::PodSandbox SandboxItem(const record::PodRecord& record);
::runtime::v1::PodSandboxStatus SandboxStatus(const record::PodRecord& record);
::runtime::v1::Container ContainerItem(const record::ContainerRecord& record);
::runtime::v1::ContainerStatus ContainerStatusOf(const record::ContainerRecord& record);

// The verbose "info": one entry of JSON text, for people and crictl.
std::map<std::string, std::string> SandboxInfo(const Pod& pod);
std::map<std::string, std::string> ContainerInfo(const Container& container);

// True where every pair of the selector is among the labels.
template <typename Map>
bool MatchesLabels(const Map& selector, const Map& labels) {
  for (const auto& [key, value] : selector) {
    auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}
// A filter's id may be a prefix; an empty one fits all.
inline bool MatchesId(const std::string& filter, const std::string& id) {
  return id.starts_with(filter);
}

}  // namespace catamaran
