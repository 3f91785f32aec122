#pragma once

#include <string>
#include <vector>

#include "cri/config/config.h"

namespace catamaran {

// A key of the configuration with its value as text: "handlers[vm].machine.cpus", "2".
struct Setting {
  std::string key, value;
  friend bool operator==(const Setting&, const Setting&) = default;
};

// Every key with the value that is in force, defaults included, in the order of the example file.
std::vector<Setting> SettingsOf(const Config& config);

// A setting that two configurations do not have in common; "" where one has no such key.
struct SettingChange {
  std::string key, before, after;
};
std::vector<SettingChange> ChangesBetween(const Config& before, const Config& after);

// Whether a running daemon can take a new value of this key. All others need another daemon, which
// leaves pods alone.
bool CanChangeAtRunTime(const std::string& key);

}  // namespace catamaran
