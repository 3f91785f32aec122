#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cri/nri/field_owners.h"

namespace catamaran {

// What the plugins answered to one event about one container, put together in the order in which
// they were asked. kFailedPrecondition where two of them set the same field. Not thread-safe.
class PluginAnswers {
 public:
  explicit PluginAnswers(std::string container) : container_(std::move(container)) {}

  // To CreateContainer. An update of the container that is being created is kInvalidArgument: that
  // is what the adjustment is for.
  Status Add(const nri::CreateContainerResponse& answer, const std::string& plugin);
  // To UpdateContainer and StopContainer.
  Status Add(const nri::UpdateContainerResponse& answer, const std::string& plugin);

  const nri::ContainerAdjustment& adjustment() const { return adjustment_; }
  // One for each container, the asked-about one (UpdateContainer) among them.
  const std::vector<nri::ContainerUpdate>& updates() const { return updates_; }
  const std::vector<nri::ContainerEviction>& evictions() const { return evictions_; }
  const nri::OwningPlugins& owners() const { return owners_.all(); }

 private:
  Status AddAdjustment(const nri::ContainerAdjustment& wanted, const std::string& plugin);
  Status AddLists(const nri::ContainerAdjustment& wanted, const std::string& plugin);
  Status AddMaps(const nri::LinuxContainerAdjustment& wanted, const std::string& plugin);
  Status AddLinux(const nri::LinuxContainerAdjustment& wanted, const std::string& plugin);
  Status AddArgs(const nri::ContainerAdjustment& wanted, const std::string& plugin);
  Status AddRdt(const nri::LinuxRdt& wanted, const std::string& plugin);
  void AddHooks(const nri::Hooks& wanted, const std::string& plugin);
  Status AddUpdate(const nri::ContainerUpdate& wanted, const std::string& plugin);

  const std::string container_;
  FieldOwners owners_;
  nri::ContainerAdjustment adjustment_;
  std::vector<nri::ContainerUpdate> updates_;
  std::vector<nri::ContainerEviction> evictions_;
};

// "-KEY" marks the removal of KEY.
inline bool MarksRemoval(std::string_view key) { return key.starts_with('-'); }
inline std::string RemovedKey(const std::string& key) { return key.substr(1); }
// What is removed or set: in both cases what was there before gives way.
inline std::string AffectedKey(const std::string& key) {
  return MarksRemoval(key) ? RemovedKey(key) : key;
}

// Adds `wanted` to `merged`, field by field, each claimed for the plugin.
Status MergeNriResources(const nri::LinuxResources& wanted, const std::string& container,
                         const std::string& plugin, FieldOwners* owners,
                         nri::LinuxResources* merged);

}  // namespace catamaran
