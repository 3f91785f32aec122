#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

constexpr int kMostDevices = 1024;

bool IsDevice(const std::filesystem::path& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode));
}

// Each of r, w, m at most once; nothing means all.
bool ArePermissions(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c == 'r' || c == 'w' || c == 'm') && std::count(text.begin(), text.end(), c) == 1;
  });
}

Status AddDevice(const std::string& host_path, const std::string& container_path,
                 const std::string& permissions, const std::string& field,
                 spec::ContainerSpec* out) {
  if (out->devices_size() >= kMostDevices) {
    return WrongField(field, host_path, "one of at most 1024 devices");
  }
  spec::Device* device = out->add_devices();
  device->set_host_path(host_path);
  device->set_container_path(container_path);
  device->set_permissions(permissions);
  return {};
}

// A folder stands for every device in it and below.
Status AddFolder(const std::string& folder, const std::string& container_path,
                 const std::string& permissions, const std::string& field,
                 spec::ContainerSpec* out) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (std::filesystem::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (!it->is_symlink(error) && IsDevice(it->path())) found.push_back(it->path());
    if (found.size() > kMostDevices) break;
  }
  if (found.empty()) return WrongField(field, folder, "a device, or a folder that holds some");
  std::sort(found.begin(), found.end());
  for (const auto& path : found) {
    const auto below = path.lexically_relative(folder);
    RETURN_IF_ERROR(AddDevice(path, (std::filesystem::path(container_path) / below).string(),
                              permissions, field, out));
  }
  return {};
}

}  // namespace

Status TranslateDevices(const ContainerInput& input, spec::ContainerSpec* out) {
  for (int i = 0; i < input.config.devices_size(); ++i) {
    const auto& device = input.config.devices(i);
    const std::string field = fmt::format("config.devices[{}]", i);
    ASSIGN_OR_RETURN(const std::string named,
                     CheckAbsolutePath(field + ".host_path", device.host_path()));
    std::string container_path = named;
    if (!device.container_path().empty()) {
      ASSIGN_OR_RETURN(container_path,
                       CheckAbsolutePath(field + ".container_path", device.container_path()));
    }
    if (!ArePermissions(device.permissions())) {
      return WrongField(field + ".permissions", device.permissions(), "of r, w and m, each once");
    }
    const std::string permissions = device.permissions().empty() ? "rwm" : device.permissions();
    std::error_code error;
    const std::string host_path = std::filesystem::canonical(named, error).string();
    if (error) return WrongField(field + ".host_path", named, "a device that exists");
    if (IsVm(input.handler) && !std::filesystem::is_block_file(host_path, error)) {
      return WrongField(field + ".host_path", named,
                        "a block device: no other device of the host reaches into a virtual "
                        "machine");
    }
    if (std::filesystem::is_directory(host_path, error)) {
      RETURN_IF_ERROR(AddFolder(host_path, container_path, permissions, field + ".host_path", out));
    } else if (IsDevice(host_path)) {
      RETURN_IF_ERROR(AddDevice(host_path, container_path, permissions, field + ".host_path", out));
    } else {
      return WrongField(field + ".host_path", named, "a device, or a folder that holds some");
    }
  }
  return {};
}

}  // namespace catamaran
