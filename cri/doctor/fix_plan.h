#pragma once

#include <string>
#include <vector>

#include "cri/config/config.h"
#include "cri/doctor/report.h"

namespace catamaran {

// A change of this host that mends something, is safe to make while it is in use, and is the same
// however often it is made.
struct HostChange {
  enum class Kind {
    kModule,  // loaded now and at each boot
    kSysctl,  // set now and at each boot
    kMode,    // of a folder
  };
  Kind kind = Kind::kModule;
  std::string what;   // "br_netfilter"; "net.ipv4.ip_forward"; "/run/catamaran"
  std::string value;  // a sysctl's; a mode in octal
  // kSysctl: where it is this much already, nothing is to be done; 0: where it is `value`.
  uint64_t enough_at = 0;

  friend bool operator==(const HostChange&, const HostChange&) = default;
};

struct PlannedFix {
  std::string finding;
  std::vector<HostChange> changes;
  std::string remedy;  // no changes: what is left to people
};

// What can be done about each line of the report that is not ok, in its order. Pure.
std::vector<PlannedFix> PlanFixes(const DoctorReport& report, const Config& config);

}  // namespace catamaran
