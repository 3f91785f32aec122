#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The parameters of one plugin's run (CNI SPEC.md 1.1.0, section 2). What an operation has none of
// (STATUS and GC have no container) stays empty.
struct PluginCall {
  std::string command;  // "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"
  std::string container_id, netns, interface, args;
  // Kept open by the plugin and by what it starts; -1: none.
  int inherited_fd = -1;
};

// How it ended where it could be run.
struct PluginAnswer {
  bool ok = false;
  nlohmann::json result;  // null where it printed nothing
  int error_code = 0;     // of its JSON error; 0 where it gave none
  Error error;            // where not ok: all that it said
};

// Codes that this program acts on (SPEC.md, "Error").
inline constexpr int kCniUnknownContainer = 3;
inline constexpr int kCniTryAgain = 11;
inline constexpr int kCniUnavailable = 50;
inline constexpr int kCniLimited = 51;

// Finds and runs plugins. A value; thread-safe.
class PluginRunner {
 public:
  explicit PluginRunner(std::vector<HostPath> folders) : folders_(std::move(folders)) {}

  // The first executable file of this name. kNotFound naming the folders.
  Result<HostPath> Find(const std::string& type) const;
  // Runs it with `config` as its input. An error where there is no answer: not found, not
  // startable, killed at the deadline.
  Result<PluginAnswer> Run(const std::string& type, const PluginCall& call,
                           const nlohmann::json& config, Deadline deadline) const;

  const std::vector<HostPath>& folders() const { return folders_; }
  std::string FolderNames() const;

 private:
  std::vector<HostPath> folders_;
};

}  // namespace catamaran
