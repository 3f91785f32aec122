#include "cri/cdi/cdi_devices.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <sstream>

#include "cri/cdi/cdi_registry.h"
#include "cri/translate/fields.h"

namespace catamaran {
namespace {

constexpr std::string_view kAnnotationPrefix = "cdi.k8s.io/";
constexpr size_t kMostDevices = 1024;

Status AddName(const std::string& name, const std::string& field, std::vector<std::string>& names) {
  if (!ParseCdiName(name))
    return WrongField(field, name, "VENDOR/CLASS=NAME, as vendor.com/net=eth1");
  if (names.size() >= kMostDevices) return WrongField(field, name, "one of at most 1024 devices");
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return {};
}

std::string_view KeyOf(std::string_view variable) { return variable.substr(0, variable.find('=')); }

void SetVariable(const std::string& variable, spec::ProcessSpec* process) {
  for (auto& existing : *process->mutable_env()) {
    if (KeyOf(existing) == KeyOf(variable)) {
      existing = variable;
      return;
    }
  }
  process->add_env(variable);
}

// A device that is not described by numbers is what its node on the host is.
Status CheckNode(const spec::Device& device, const HandlerConfig& handler) {
  struct stat status {};
  const std::string field = "CDI deviceNode " + device.container_path();
  const bool vm = handler.hull == HandlerConfig::Hull::kVm;
  if (!device.type().empty() && !vm) return {};
  if (stat(device.host_path().c_str(), &status) != 0)
    return WrongField(field, device.host_path(), "a device that is on this host");
  if (vm && !S_ISBLK(status.st_mode))
    return WrongField(field, device.host_path(),
                      "a block device: no other device of the host reaches into a virtual machine");
  if (!S_ISBLK(status.st_mode) && !S_ISCHR(status.st_mode))
    return WrongField(field, device.host_path(), "a device");
  return {};
}

Status AddDevice(const spec::Device& device, const HandlerConfig& handler,
                 spec::ContainerSpec* container) {
  RETURN_IF_ERROR(CheckNode(device, handler));
  auto* devices = container->mutable_devices();
  const auto same = std::find_if(devices->begin(), devices->end(), [&](const auto& other) {
    return other.container_path() == device.container_path();
  });
  if (same != devices->end()) devices->erase(same);
  *devices->Add() = device;
  // Its numbers are those of the host's node; what shows it to a guest is that node.
  if (handler.hull == HandlerConfig::Hull::kVm) devices->rbegin()->clear_type();
  return {};
}

// What is missing on the host would be made as an empty folder further down.
Status AddMount(const spec::Mount& mount, const HandlerConfig& handler,
                spec::ContainerSpec* container) {
  const std::string field = "CDI mount " + mount.container_path();
  const bool vm = handler.hull == HandlerConfig::Hull::kVm;
  struct stat status {};
  if (mount.has_host_path() && stat(mount.host_path().c_str(), &status) != 0)
    return WrongField(field, mount.host_path(), "a path that is on this host");
  if (vm && mount.has_host_path() && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
    return WrongField(field, mount.host_path(),
                      "a file or a folder: sockets, pipes and devices of the host do not reach "
                      "into a virtual machine");
  if (vm && mount.propagation() != spec::PRIVATE)
    return WrongField(field, "rslave or rshared",
                      "private: mounts do not travel between the host and a virtual machine");
  *container->add_mounts() = mount;
  return {};
}

Status Apply(const CdiEdits& edits, const HandlerConfig& handler, spec::ContainerSpec* container) {
  if (edits.has_net_devices)
    return UnsupportedField("CDI netDevices",
                            "interfaces of the host are not moved into pods; use a network plugin");
  if (edits.has_intel_rdt)
    return UnsupportedField("CDI intelRdt", "groups of resctrl are not made");
  for (const auto& variable : edits.env) SetVariable(variable, container->mutable_process());
  for (const auto& device : edits.devices) RETURN_IF_ERROR(AddDevice(device, handler, container));
  for (const auto& mount : edits.mounts) RETURN_IF_ERROR(AddMount(mount, handler, container));
  container->mutable_hooks()->MergeFrom(edits.hooks);
  auto* groups = container->mutable_process()->mutable_user()->mutable_supplemental_groups();
  for (const uint32_t gid : edits.additional_gids)
    if (std::find(groups->begin(), groups->end(), gid) == groups->end()) groups->Add(gid);
  return {};
}

}  // namespace

Result<std::vector<std::string>> RequestedCdiDevices(const runtime::v1::ContainerConfig& config) {
  std::vector<std::string> names;
  for (int i = 0; i < config.cdi_devices_size(); ++i)
    RETURN_IF_ERROR(AddName(config.cdi_devices(i).name(),
                            fmt::format("config.CDI_devices[{}].name", i), names));
  for (const auto& [key, value] : config.annotations()) {
    if (!key.starts_with(kAnnotationPrefix)) continue;
    std::istringstream list(value);
    for (std::string name; std::getline(list, name, ',');)
      RETURN_IF_ERROR(AddName(name, "config.annotations[" + Printable(key) + "]", names));
  }
  return names;
}

Status ApplyCdiDevices(const std::vector<std::string>& names, const std::vector<HostPath>& folders,
                       const HandlerConfig& handler, spec::ContainerSpec* container) {
  if (names.empty()) return {};
  auto found = CdiRegistry::Read(folders).Find(names);
  if (!found && found.error().code == ErrorCode::kNotFound)
    found = CdiRegistry::Read(folders).Find(names);
  if (!found) return tl::unexpected(std::move(found).error());
  for (const auto& edits : *found) RETURN_IF_ERROR(Apply(edits, handler, container));
  return {};
}

}  // namespace catamaran
