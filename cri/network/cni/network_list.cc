#include "cri/network/cni/network_list.h"

#include <algorithm>
#include <cctype>

#include "cri/network/cni/json_text.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kMostPlugins = 64;

// Network names become parts of paths in plugins' stores (libcni, ValidateNetworkName).
bool IsNetworkName(const std::string& name) {
  return !name.empty() && name.size() <= 255 && std::isalnum(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
         });
}

bool IsProgramName(const std::string& type) {
  return !type.empty() && type.size() <= 255 && type != "." && type != ".." &&
         type.find('/') == std::string::npos && type.find('\0') == std::string::npos;
}

Status ReadVersion(const std::string& source, const json& object, CniVersion* out) {
  // The version of configurations from before there were versions.
  std::string text = "0.1.0";
  RETURN_IF_ERROR(ReadJsonKey(source, "", object, "cniVersion", &text));
  const auto version = ParseCniVersion(text);
  if (!version) return WrongJson(source, "cniVersion", text, kCniVersions);
  *out = *version;
  const auto versions = object.find("cniVersions");
  if (versions != object.end() && !versions->is_null()) {
    if (!versions->is_array()) return WrongJson(source, "cniVersions", *versions, "a list");
    for (size_t i = 0; i < versions->size(); ++i) {
      const json& item = (*versions)[i];
      const auto one = item.is_string() ? ParseCniVersion(item.get<std::string>()) : std::nullopt;
      if (!one)
        return WrongJson(source, fmt::format("cniVersions[{}]", i), item, "a version like 1.0.0");
      if (one->supported() && (*one > *out || !out->supported())) *out = *one;
    }
  }
  if (!out->supported()) return WrongJson(source, "cniVersion", text, kCniVersions);
  return {};
}

Result<CniPlugin> ReadPlugin(const std::string& source, const std::string& path, json object) {
  if (!object.is_object()) return WrongJson(source, path, object, "a plugin's configuration");
  CniPlugin plugin;
  RETURN_IF_ERROR(ReadJsonKey(source, path, object, "type", &plugin.type));
  const std::string prefix = path.empty() ? "" : path + ".";
  if (!IsProgramName(plugin.type))
    return WrongJson(source, prefix + "type", object.value("type", json()),
                     "the file name of a plugin, without '/'");
  const auto capabilities = object.find("capabilities");
  if (capabilities != object.end() && !capabilities->is_null()) {
    const std::string key = prefix + "capabilities";
    if (!capabilities->is_object())
      return WrongJson(source, key, *capabilities, "an object of true and false");
    for (const auto& [name, on] : capabilities->items()) {
      if (!on.is_boolean()) return WrongJson(source, key + "." + name, on, "true or false");
      if (on.get<bool>()) plugin.capabilities.insert(name);
    }
  }
  plugin.config = std::move(object);
  return plugin;
}

Status ReadPlugins(const std::string& source, json& object, CniNetworkList* list) {
  const auto plugins = object.find("plugins");
  if (plugins == object.end()) {
    // A single plugin's file. What belongs to the list is not the plugin's.
    ASSIGN_OR_RETURN(auto plugin, ReadPlugin(source, "", std::move(object)));
    list->plugins.push_back(std::move(plugin));
    return {};
  }
  if (!plugins->is_array() || plugins->size() > kMostPlugins)
    return WrongJson(source, "plugins", *plugins,
                     fmt::format("a list of 1 to {} plugins", kMostPlugins));
  for (size_t i = 0; i < plugins->size(); ++i) {
    ASSIGN_OR_RETURN(auto plugin,
                     ReadPlugin(source, fmt::format("plugins[{}]", i), std::move((*plugins)[i])));
    list->plugins.push_back(std::move(plugin));
  }
  return {};
}

// A list that may still be without plugins.
Result<CniNetworkList> ParseOpenList(std::string_view text, const std::string& source) {
  ASSIGN_OR_RETURN(json object, ParseJsonObject(text, source));
  CniNetworkList list;
  list.source = source;
  RETURN_IF_ERROR(ReadVersion(source, object, &list.version));
  RETURN_IF_ERROR(ReadJsonKey(source, "", object, "name", &list.name));
  if (!IsNetworkName(list.name))
    return WrongJson(source, "name", object.value("name", json()),
                     "a name of letters, digits, '_', '.' and '-' that begins with a letter or "
                     "a digit");
  RETURN_IF_ERROR(ReadJsonKey(source, "", object, "disableCheck", &list.disable_check));
  RETURN_IF_ERROR(ReadJsonKey(source, "", object, "disableGC", &list.disable_gc));
  RETURN_IF_ERROR(
      ReadJsonKey(source, "", object, "loadOnlyInlinedPlugins", &list.only_inlined_plugins));
  if (object.contains("plugins") || list.only_inlined_plugins || object.contains("type"))
    RETURN_IF_ERROR(ReadPlugins(source, object, &list));
  return list;
}

Status CheckPlugins(const CniNetworkList& list) {
  if (list.plugins.empty())
    return WrongJson(list.source, "plugins", json::array(),
                     fmt::format("a list of 1 to {} plugins", kMostPlugins));
  if (list.plugins.size() > 1 && !list.version.has_chains())
    return WrongJson(list.source, "cniVersion", list.version.Text(),
                     "0.3.0 or higher where there are several plugins");
  return {};
}

bool HasExtension(const std::string& name, std::initializer_list<std::string_view> extensions) {
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](std::string_view extension) { return name.ends_with(extension); });
}

// CNI SPEC.md 1.1.0, loadOnlyInlinedPlugins.
Status AppendPluginsOfFolder(const HostPath& folder, CniNetworkList* list) {
  const HostPath own = folder / list->name;
  if (list->only_inlined_plugins || !Exists(own.value())) return {};
  ASSIGN_OR_RETURN(const auto names, ListDirectory(own.value()));
  for (const auto& name : names) {
    if (!HasExtension(name, {".conf"})) continue;
    const std::string path = (own / name).string();
    ASSIGN_OR_RETURN(const auto text, ReadFile(path, kLargestFile));
    ASSIGN_OR_RETURN(auto object, ParseJsonObject(text, path));
    ASSIGN_OR_RETURN(auto plugin, ReadPlugin(path, "", std::move(object)));
    list->plugins.push_back(std::move(plugin));
  }
  return {};
}

Result<CniNetworkList> LoadFile(const HostPath& folder, const std::string& name) {
  const std::string path = (folder / name).string();
  ASSIGN_OR_RETURN(const auto text, ReadFile(path, kLargestFile));
  ASSIGN_OR_RETURN(auto list, ParseOpenList(text, path));
  RETURN_IF_ERROR(AppendPluginsOfFolder(folder, &list));
  RETURN_IF_ERROR(CheckPlugins(list));
  return list;
}

}  // namespace

bool CniNetworkList::Declares(const std::string& capability) const {
  return std::any_of(plugins.begin(), plugins.end(), [&](const CniPlugin& plugin) {
    return plugin.capabilities.contains(capability);
  });
}

std::string CniNetworkList::Text() const {
  json object = {{"cniVersion", version.Text()},
                 {"name", name},
                 {"disableCheck", disable_check},
                 {"disableGC", disable_gc},
                 {"plugins", json::array()}};
  for (const auto& plugin : plugins) object["plugins"].push_back(plugin.config);
  return JsonText(object);
}

Result<CniNetworkList> ParseNetworkList(std::string_view text, const std::string& source) {
  ASSIGN_OR_RETURN(auto list, ParseOpenList(text, source));
  RETURN_IF_ERROR(CheckPlugins(list));
  return list;
}

CniConfiguration LoadCniConfiguration(const HostPath& folder) {
  CniConfiguration configuration;
  const auto names = ListDirectory(folder.value());
  if (!names) {
    if (names.error().code != ErrorCode::kNotFound)
      configuration.problems.push_back(names.error().message);
    return configuration;
  }
  for (const auto& name : *names) {
    if (!HasExtension(name, {".conflist", ".conf", ".json"})) continue;
    auto list = LoadFile(folder, name);
    if (list) {
      configuration.network = std::make_shared<const CniNetworkList>(std::move(*list));
      break;
    }
    configuration.problems.push_back(list.error().message);
  }
  return configuration;
}

}  // namespace catamaran
