#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cri/network/cni/cni_version.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// One plugin of a network: a program and its configuration, unknown keys kept.
struct CniPlugin {
  std::string type;  // the program's file name
  nlohmann::json config;
  std::set<std::string> capabilities;  // those that are true
};

// A network as the administrator's file describes it. A value.
struct CniNetworkList {
  std::string source;  // where it came from, for messages: the file's path
  std::string name;
  CniVersion version;
  bool disable_check = false;
  bool disable_gc = false;
  bool only_inlined_plugins = true;
  std::vector<CniPlugin> plugins;

  bool Declares(const std::string& capability) const;
  // The whole as one text, from which ParseNetworkList makes an equal one.
  std::string Text() const;
};

// Both forms: a list (.conflist), and a single plugin's configuration (.conf, .json), which becomes
// a list of one. Of `cniVersions` the highest known is taken. kInvalidArgument names the source,
// the key, its value and what would be right. Rules: CNI SPEC.md 1.1.0, section 1.
Result<CniNetworkList> ParseNetworkList(std::string_view text, const std::string& source);

// What a configuration folder says.
struct CniConfiguration {
  std::shared_ptr<const CniNetworkList> network;  // of the first valid file by name; null: none
  std::vector<std::string> problems;              // of files before it, or of all
};
// Reads *.conflist, *.conf and *.json in the order of their names up to the first valid one, and,
// where that says "loadOnlyInlinedPlugins": false, appends the plugins of <folder>/<name>/*.conf.
CniConfiguration LoadCniConfiguration(const HostPath& folder);

}  // namespace catamaran
