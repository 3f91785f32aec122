#include "sandbox/container/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Deep enough for /dev/bus/usb/001; a bound, as a folder's content is not ours.
constexpr int kMaximumDepth = 6;
constexpr size_t kMaximumDevices = 4096;

// Folders and nodes of /dev that belong to the machine's own /dev, not to its hardware.
const std::set<std::string> kNotHardware = {"console", "pts",    "ptmx",  "shm",
                                            "fd",      "mqueue", "stdin", "stdout",
                                            "stderr",  "core",   ".lxc",  ".lxd-mounts"};

PlannedDevice Describe(const struct stat& status, const std::string& path,
                       const std::string& permissions) {
  return PlannedDevice{path,
                       status.st_mode & (S_IFMT | 0777),
                       major(status.st_rdev),
                       minor(status.st_rdev),
                       status.st_uid,
                       status.st_gid,
                       permissions};
}

bool IsDevice(const struct stat& status) {
  return S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
}

// Every device below a folder, under the same relative names.
Status FindBelow(const std::string& folder, const std::string& container_folder,
                 const std::string& permissions, int depth, std::vector<PlannedDevice>& found) {
  if (depth > kMaximumDepth) return {};
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder));
  for (const auto& name : names) {
    if (depth == 0 && kNotHardware.contains(name)) continue;
    const std::string path = folder + "/" + name;
    struct stat status;
    if (lstat(path.c_str(), &status) != 0) continue;  // gone meanwhile
    if (S_ISDIR(status.st_mode)) {
      RETURN_IF_ERROR(
          FindBelow(path, container_folder + "/" + name, permissions, depth + 1, found));
    } else if (IsDevice(status)) {
      if (found.size() >= kMaximumDevices)
        return Fail(ErrorCode::kResourceExhausted, "more than {} devices", kMaximumDevices);
      found.push_back(Describe(status, container_folder + "/" + name, permissions));
    }
  }
  return {};
}

// Owner and permissions where the spec has its own.
PlannedDevice WithOverrides(PlannedDevice planned, const spec::Device& device) {
  if (device.has_file_mode()) planned.mode = (planned.mode & S_IFMT) | (device.file_mode() & 0777);
  planned.user_owns = device.owned_by_user() && !device.has_owner_uid();
  planned.group_owns = device.owned_by_user() && !device.has_owner_gid();
  planned.uid_inside = device.has_owner_uid();
  planned.gid_inside = device.has_owner_gid();
  if (planned.uid_inside) planned.uid = device.owner_uid();
  if (planned.gid_inside) planned.gid = device.owner_gid();
  return planned;
}

// A node by its numbers.
PlannedDevice Named(const spec::Device& device, const std::string& path,
                    const std::string& permissions) {
  const mode_t type = device.type() == "b" ? S_IFBLK : device.type() == "p" ? S_IFIFO : S_IFCHR;
  return WithOverrides(PlannedDevice{path, type | 0666, device.major_number(),
                                     device.minor_number(), 0, 0, permissions},
                       device);
}

Status CheckDevice(const spec::Device& device, const std::string& field) {
  if (device.host_path().empty() || device.host_path()[0] != '/')
    return Fail(ErrorCode::kInvalidArgument, "{}.host_path \"{}\": an absolute path is needed",
                field, device.host_path());
  const std::string& path = device.container_path();
  if (!path.empty() && (path[0] != '/' || path == "/"))
    return Fail(ErrorCode::kInvalidArgument, "{}.container_path \"{}\": an absolute path is needed",
                field, path);
  if (!device.type().empty() && device.type() != "c" && device.type() != "b" &&
      device.type() != "p")
    return Fail(ErrorCode::kInvalidArgument, "{}.type \"{}\": only c, b and p are known", field,
                device.type());
  if (device.permissions().find_first_not_of("rwm") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "{}.permissions \"{}\": only r, w and m are known",
                field, device.permissions());
  return {};
}

Status FindOne(const spec::Device& device, const std::string& field,
               std::vector<PlannedDevice>& found) {
  RETURN_IF_ERROR(CheckDevice(device, field));
  const std::string& target =
      device.container_path().empty() ? device.host_path() : device.container_path();
  const std::string permissions = device.no_access()             ? ""
                                  : device.permissions().empty() ? "rwm"
                                                                 : device.permissions();
  if (!device.type().empty()) {
    found.push_back(Named(device, target, permissions));
    return {};
  }
  struct stat status;
  if (stat(device.host_path().c_str(), &status) != 0)
    return Fail(ErrorCode::kInvalidArgument, "{}.host_path \"{}\": {}", field, device.host_path(),
                strerror(errno));
  if (S_ISDIR(status.st_mode)) return FindBelow(device.host_path(), target, permissions, 1, found);
  if (!IsDevice(status))
    return Fail(ErrorCode::kInvalidArgument, "{}.host_path \"{}\" is not a device", field,
                device.host_path());
  found.push_back(WithOverrides(Describe(status, target, permissions), device));
  return {};
}

}  // namespace

std::vector<PlannedDevice> DefaultDevices() {
  constexpr mode_t kMode = S_IFCHR | 0666;
  return {{"/dev/null", kMode, 1, 3},   {"/dev/zero", kMode, 1, 5},    {"/dev/full", kMode, 1, 7},
          {"/dev/random", kMode, 1, 8}, {"/dev/urandom", kMode, 1, 9}, {"/dev/tty", kMode, 5, 0}};
}

Result<std::vector<PlannedDevice>> FindDevices(const spec::ContainerSpec& container) {
  std::vector<PlannedDevice> found;
  if (container.all_devices()) RETURN_IF_ERROR(FindBelow("/dev", "/dev", "rwm", 0, found));
  for (int i = 0; i < container.devices_size(); ++i)
    RETURN_IF_ERROR(FindOne(container.devices(i), fmt::format("devices[{}]", i), found));
  return found;
}

std::vector<DeviceRule> DeviceRulesOf(const spec::ContainerSpec& container,
                                      const std::vector<PlannedDevice>& devices) {
  if (container.all_devices()) return {DeviceRule::Everything()};
  std::vector<DeviceRule> rules = DefaultDeviceRules();
  for (const auto& device : devices) {
    if (S_ISFIFO(device.mode) || device.permissions.empty()) continue;
    DeviceRule rule;
    rule.type = S_ISBLK(device.mode) ? DeviceRule::Type::kBlock : DeviceRule::Type::kCharacter;
    rule.major = device.major;
    rule.minor = device.minor;
    rule.read = device.permissions.find('r') != std::string::npos;
    rule.write = device.permissions.find('w') != std::string::npos;
    rule.make_node = device.permissions.find('m') != std::string::npos;
    rules.push_back(rule);
  }
  return rules;
}

std::vector<DeviceRule> BuildersDeviceRules() {
  // Numbers: Documentation/admin-guide/devices.txt. A device is attached read-only.
  constexpr uint32_t kMisc = 10, kLoopControl = 237, kLoop = 7;
  return {{DeviceRule::Type::kCharacter, kMisc, kLoopControl, true, true, false},
          {DeviceRule::Type::kBlock, kLoop, {}, true, false, false}};
}

}  // namespace catamaran
