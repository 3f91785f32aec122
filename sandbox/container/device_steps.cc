#include "sandbox/container/device_steps.h"

#include <unistd.h>

#include <filesystem>

#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

Status MakeDevice(int root_fd, const PlannedDevice& device, const spec::ResolvedUser& user) {
  const std::filesystem::path path(device.path);
  ASSIGN_OR_RETURN(auto folder, OpenOrCreateInRoot(root_fd, path.parent_path().string(),
                                                   TargetKind::kDirectory));
  PlannedDevice owned = device;
  if (device.user_owns) owned.uid = user.uid();
  if (device.group_owns) owned.gid = user.gid();
  return MakeDeviceNode(folder.get(), path.filename().string(), owned);
}

}  // namespace

Status MakeDevices(int root_fd, const ContainerPlan& plan, const spec::ResolvedUser& user) {
  for (const auto& device : plan.devices) RETURN_IF_ERROR(MakeDevice(root_fd, device, user));
  if (!plan.makes_devices) return {};
  ASSIGN_OR_RETURN(auto dev, OpenOrCreateRealDirectory(root_fd, "dev"));
  for (const auto& link : plan.links) {
    const std::string name = std::filesystem::path(link.path).filename();
    if (symlinkat(link.target.c_str(), dev.get(), name.c_str()) != 0 && errno != EEXIST)
      return FailWithErrno("link {}", link.path);
  }
  return {};
}

}  // namespace catamaran
