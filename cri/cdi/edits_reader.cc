#include "cri/cdi/edits_reader.h"

#include <climits>
#include <map>
#include <set>

namespace catamaran {
namespace {

using Json = nlohmann::json;

Status Wrong(const std::string& where, std::string_view value, std::string_view right) {
  return Fail(ErrorCode::kInvalidArgument, "{}: '{}' is wrong: must be {}", where,
              value.substr(0, 200), right);
}

Result<std::string> AbsolutePath(const JsonObject& object, const char* field,
                                 const std::string& where) {
  ASSIGN_OR_RETURN(auto path, object.String(field));
  if (path.empty() || path[0] != '/' || path.size() >= PATH_MAX)
    RETURN_IF_ERROR(Wrong(where + "." + field, path, "an absolute path"));
  return path;
}

Result<uint32_t> Number(const JsonObject& object, const char* field, const std::string& where,
                        uint32_t most) {
  ASSIGN_OR_RETURN(const uint64_t value, object.Size(field));
  if (value > most)
    RETURN_IF_ERROR(
        Wrong(where + "." + field, std::to_string(value), fmt::format("at most {}", most)));
  return static_cast<uint32_t>(value);
}

Status ReadEnvironment(const JsonObject& edits, CdiEdits& out) {
  ASSIGN_OR_RETURN(out.env, edits.Strings("env"));
  for (const auto& variable : out.env)
    if (variable.find('=') == std::string::npos || variable[0] == '=')
      return Wrong("env", variable.substr(0, variable.find('=')), "KEY=VALUE");
  return {};
}

Status ReadDeviceType(const JsonObject& node, const std::string& where, spec::Device& device) {
  ASSIGN_OR_RETURN(const auto type, node.String("type"));
  if (type.empty()) return {};
  if (type != "b" && type != "c" && type != "u" && type != "p")
    return Wrong(where + ".type", type, "b, c, u or p");
  ASSIGN_OR_RETURN(const uint32_t major, Number(node, "major", where, (1 << 12) - 1));
  ASSIGN_OR_RETURN(const uint32_t minor, Number(node, "minor", where, (1 << 20) - 1));
  // Without numbers it is the host's node that is meant.
  if (type != "p" && major == 0 && minor == 0) return {};
  device.set_type(type == "u" ? "c" : type);
  device.set_major_number(major);
  device.set_minor_number(minor);
  return {};
}

Status ReadPermissions(const JsonObject& node, const std::string& where, spec::Device& device) {
  ASSIGN_OR_RETURN(const auto permissions, node.String("permissions"));
  if (permissions == "none") {
    device.set_no_access(true);
  } else if (permissions.find_first_not_of("rwm") != std::string::npos) {
    return Wrong(where + ".permissions", permissions, "of r, w and m, or none");
  } else {
    device.set_permissions(permissions.empty() ? "rwm" : permissions);
  }
  return {};
}

Status ReadDeviceNode(const JsonObject& node, const std::string& where, const CdiFeatures& features,
                      CdiEdits& out) {
  RETURN_IF_ERROR(node.CheckFields(
      {"path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"}));
  spec::Device device;
  ASSIGN_OR_RETURN(*device.mutable_container_path(), AbsolutePath(node, "path", where));
  device.set_host_path(device.container_path());
  if (node.Has("hostPath")) {
    RETURN_IF_ERROR(features.Use(kCdiHostPaths, where + ".hostPath"));
    ASSIGN_OR_RETURN(*device.mutable_host_path(), AbsolutePath(node, "hostPath", where));
  }
  RETURN_IF_ERROR(ReadDeviceType(node, where, device));
  RETURN_IF_ERROR(ReadPermissions(node, where, device));
  if (node.Has("fileMode")) {
    ASSIGN_OR_RETURN(const uint32_t mode, Number(node, "fileMode", where, UINT32_MAX));
    device.set_file_mode(mode & 0777);
  }
  device.set_owned_by_user(true);
  if (node.Has("uid")) {
    ASSIGN_OR_RETURN(const uint32_t uid, Number(node, "uid", where, INT32_MAX));
    device.set_owner_uid(uid);
  }
  if (node.Has("gid")) {
    ASSIGN_OR_RETURN(const uint32_t gid, Number(node, "gid", where, INT32_MAX));
    device.set_owner_gid(gid);
  }
  out.devices.push_back(std::move(device));
  return {};
}

Status ReadTmpfsOption(const std::string& option, const std::string& where, spec::Mount& mount) {
  const size_t equals = option.find('=');
  const std::string key = option.substr(0, equals);
  const std::string text = equals == std::string::npos ? "" : option.substr(equals + 1);
  size_t used = 0;
  const int base = key == "mode" ? 8 : 10;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c >= '0' + base || value > (uint64_t{1} << 50)) break;
    value = value * base + static_cast<uint64_t>(c - '0');
    ++used;
  }
  const std::string unit = text.substr(used);
  const std::map<std::string, int> shifts = {{"", 0}, {"k", 10}, {"m", 20}, {"g", 30}};
  const auto shift = shifts.find(unit);
  if (used == 0 || shift == shifts.end() ||
      (key == "mode" && (shift->second != 0 || value > 07777)))
    return Wrong(where + ".options", option, "size=BYTES[k|m|g] or mode=OCTAL");
  if (key == "mode") {
    mount.mutable_tmpfs()->set_mode(static_cast<uint32_t>(value));
  } else if (key == "size") {
    mount.mutable_tmpfs()->set_size_bytes(value << shift->second);
  } else {
    return Wrong(where + ".options", option, "an option of a tmpfs: size or mode");
  }
  return {};
}

Status ReadMountOptions(const std::vector<std::string>& options, const std::string& where,
                        spec::Mount& mount) {
  for (const auto& option : options) {
    if (option == "ro" || option == "rw") {
      mount.set_readonly(option == "ro");
    } else if (option == "noexec" || option == "nodev" || option == "nosuid") {
      mount.add_options(option);
    } else if (option == "rslave" || option == "slave") {
      mount.set_propagation(spec::HOST_TO_CONTAINER);
    } else if (option == "rshared" || option == "shared") {
      mount.set_propagation(spec::BIDIRECTIONAL);
    } else if (option == "rprivate" || option == "private") {
      mount.set_propagation(spec::PRIVATE);
    } else if (mount.has_tmpfs() && option.find('=') != std::string::npos) {
      RETURN_IF_ERROR(ReadTmpfsOption(option, where, mount));
    } else if (option != "bind" && option != "rbind" && option != "exec" && option != "dev" &&
               option != "suid") {
      return Wrong(where + ".options", option,
                   "bind, rbind, ro, rw, noexec, nodev, nosuid or a propagation such as rslave");
    }
  }
  return {};
}

Status ReadMount(const JsonObject& object, const std::string& where, const CdiFeatures& features,
                 CdiEdits& out) {
  RETURN_IF_ERROR(object.CheckFields({"hostPath", "containerPath", "type", "options"}));
  spec::Mount mount;
  ASSIGN_OR_RETURN(*mount.mutable_container_path(), AbsolutePath(object, "containerPath", where));
  ASSIGN_OR_RETURN(const auto type, object.String("type"));
  if (!type.empty()) RETURN_IF_ERROR(features.Use(kCdiMountTypes, where + ".type"));
  if (type == "tmpfs") {
    mount.mutable_tmpfs()->set_mode(01777);
  } else if (type.empty() || type == "bind" || type == "none") {
    ASSIGN_OR_RETURN(*mount.mutable_host_path(), AbsolutePath(object, "hostPath", where));
  } else {
    return Wrong(where + ".type", type, "bind or tmpfs");
  }
  ASSIGN_OR_RETURN(const auto options, object.Strings("options"));
  RETURN_IF_ERROR(ReadMountOptions(options, where, mount));
  out.mounts.push_back(std::move(mount));
  return {};
}

spec::Hook* AddHook(const std::string& name, spec::Hooks& hooks) {
  if (name == "prestart") return hooks.add_prestart();
  if (name == "createRuntime") return hooks.add_create_runtime();
  if (name == "createContainer") return hooks.add_create_container();
  if (name == "startContainer") return hooks.add_start_container();
  if (name == "poststart") return hooks.add_poststart();
  if (name == "poststop") return hooks.add_poststop();
  return nullptr;
}

Status ReadHook(const JsonObject& object, const std::string& where, CdiEdits& out) {
  RETURN_IF_ERROR(object.CheckFields({"hookName", "path", "args", "env", "timeout"}));
  ASSIGN_OR_RETURN(const auto name, object.String("hookName"));
  spec::Hook* hook = AddHook(name, out.hooks);
  if (hook == nullptr)
    return Wrong(where + ".hookName", name,
                 "prestart, createRuntime, createContainer, startContainer, poststart or poststop");
  ASSIGN_OR_RETURN(*hook->mutable_path(), AbsolutePath(object, "path", where));
  ASSIGN_OR_RETURN(const auto args, object.Strings("args"));
  ASSIGN_OR_RETURN(const auto env, object.Strings("env"));
  for (const auto& argument : args) hook->add_args(argument);
  for (const auto& variable : env) {
    if (variable.find('=') == std::string::npos || variable[0] == '=')
      return Wrong(where + ".env", variable.substr(0, variable.find('=')), "KEY=VALUE");
    hook->add_env(variable);
  }
  if (!object.Has("timeout")) return {};
  ASSIGN_OR_RETURN(const uint32_t seconds, Number(object, "timeout", where, INT32_MAX));
  if (seconds == 0) return Wrong(where + ".timeout", "0", "at least 1");
  hook->set_timeout_seconds(seconds);
  return {};
}

Status ReadNetDevice(const JsonObject& object, const std::string& where,
                     std::set<std::string>& seen, CdiEdits& out) {
  RETURN_IF_ERROR(object.CheckFields({"hostInterfaceName", "name"}));
  for (const char* field : {"hostInterfaceName", "name"}) {
    ASSIGN_OR_RETURN(const auto name, object.String(field));
    if (name.empty() || name.size() > 15 || name.find('/') != std::string::npos)
      return Wrong(where + "." + field, name, "an interface's name");
    if (!seen.insert(field + ("/" + name)).second)
      return Wrong(where + "." + field, name, "a name of its own");
  }
  out.has_net_devices = true;
  return {};
}

Status ReadIntelRdt(const JsonObject& edits, const CdiFeatures& features, CdiEdits& out) {
  if (!edits.Has("intelRdt")) return {};
  RETURN_IF_ERROR(features.Use(kCdiGroups, "intelRdt"));
  ASSIGN_OR_RETURN(const auto rdt, edits.Object("intelRdt"));
  RETURN_IF_ERROR(rdt.CheckFields({"closID", "l3CacheSchema", "memBwSchema", "schemata",
                                   "enableMonitoring", "enableCMT", "enableMBM"}));
  for (const char* field : {"schemata", "enableMonitoring"})
    if (rdt.Has(field)) RETURN_IF_ERROR(features.Use(kCdiNetDevices, field));
  ASSIGN_OR_RETURN(const auto group, rdt.String("closID"));
  if (group == "." || group == ".." || group.size() >= 4096 ||
      group.find_first_of("/\n") != std::string::npos)
    return Wrong("intelRdt.closID", group, "the name of a group");
  out.has_intel_rdt = true;
  return {};
}

Status ReadGroups(const JsonObject& edits, const CdiFeatures& features, CdiEdits& out) {
  if (edits.Has("additionalGids")) RETURN_IF_ERROR(features.Use(kCdiGroups, "additionalGids"));
  return edits.ForEach(
      "additionalGids", [&](const Json& value, const std::string& where) -> Status {
        if (!value.is_number_unsigned() || value.get<uint64_t>() > INT32_MAX)
          return Wrong(where, value.dump(-1, ' ', false, Json::error_handler_t::replace),
                       "from 0 to 2147483647");
        // 0 is how Go writes that there is none.
        if (value.get<uint32_t>() != 0) out.additional_gids.push_back(value.get<uint32_t>());
        return {};
      });
}

// Each object of a list.
Status ForEachObject(const JsonObject& edits, const char* field,
                     const std::function<Status(const JsonObject&, const std::string&)>& use) {
  return edits.ForEach(field, [&](const Json& value, const std::string& where) -> Status {
    ASSIGN_OR_RETURN(const auto object, JsonObject::From(value, where));
    return use(object, where);
  });
}

}  // namespace

Result<CdiEdits> ReadCdiEdits(const JsonObject& edits, const CdiFeatures& features) {
  RETURN_IF_ERROR(edits.CheckFields(
      {"env", "deviceNodes", "netDevices", "hooks", "mounts", "intelRdt", "additionalGids"}));
  CdiEdits out;
  RETURN_IF_ERROR(ReadEnvironment(edits, out));
  RETURN_IF_ERROR(ForEachObject(edits, "deviceNodes", [&](const auto& node, const auto& where) {
    return ReadDeviceNode(node, where, features, out);
  }));
  RETURN_IF_ERROR(ForEachObject(edits, "mounts", [&](const auto& mount, const auto& where) {
    return ReadMount(mount, where, features, out);
  }));
  RETURN_IF_ERROR(ForEachObject(edits, "hooks", [&](const auto& hook, const auto& where) {
    return ReadHook(hook, where, out);
  }));
  if (edits.Has("netDevices")) RETURN_IF_ERROR(features.Use(kCdiNetDevices, "netDevices"));
  std::set<std::string> seen;
  RETURN_IF_ERROR(ForEachObject(edits, "netDevices", [&](const auto& device, const auto& where) {
    return ReadNetDevice(device, where, seen, out);
  }));
  RETURN_IF_ERROR(ReadIntelRdt(edits, features, out));
  RETURN_IF_ERROR(ReadGroups(edits, features, out));
  return out;
}

}  // namespace catamaran
