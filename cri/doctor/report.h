#pragma once

#include <string>
#include <vector>

#include "sandbox/probes/finding.h"

namespace catamaran {

// What `catamaran doctor` found out. A value; nothing here touches the host.
struct DoctorReport {
  struct Section {
    std::string title;                  // "host", "handler vm"
    std::vector<std::string> handlers;  // whose pods these findings are about; empty: everybody's
    std::vector<Finding> findings;
  };
  // What `--fix` did about a line.
  struct Mended {
    enum class Outcome { kDone, kWould, kFailed, kByHand };
    std::string finding;
    Outcome outcome = Outcome::kByHand;
    std::string text;  // what was done or would be; why not; what is left to people

    friend bool operator==(const Mended&, const Mended&) = default;
  };
  std::string version;
  std::string config;  // where it comes from
  std::string host;    // "Linux 6.12.1, 8 CPUs, 31 GiB"
  std::vector<std::string> handlers;
  std::vector<Section> sections;
  std::vector<Mended> mended = {};  // the sections are of afterwards

  // Whether nothing that pods of this handler need is missing.
  bool CanRunPods(const std::string& handler) const;
  // 0 where every configured handler can run pods, else 1. Degraded lines do not fail.
  int ExitCode() const;
};

// For people: a line a finding, aligned, its meaning and remedy below only where not ok.
std::string ReportToText(const DoctorReport& report);
// For programs: {version, config, host, handlers[{name, can_run_pods}], findings[{section, name,
// status, seen, meaning, remedy}], mended[{name, outcome, text}]}, one document; without the last
// where nothing was to be mended.
std::string ReportToJson(const DoctorReport& report);

}  // namespace catamaran
