#pragma once

#include <chrono>
#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"
#include "sandbox/probes/probe.h"

namespace catamaran {

struct DoctorOptions {
  std::string version;
  std::string config_source;  // the file, or "defaults"
  HostPath kubelet_config;
  std::chrono::seconds patience = kProbePatience;  // for one probe
  enum class Form { kText, kJson } form = Form::kText;
  enum class Fix { kNothing, kSay, kMake } fix = Fix::kNothing;
};

// `catamaran doctor`: tries everything that pods of the configured handlers need on this host and
// prints what it found. A configuration that could not be read is a finding too. Needs no daemon
// and changes nothing that stays, unless it is told to mend what it can: then it says what it did
// and tries everything once more. Returns the process's exit code; does not return where a probe
// hangs in the kernel, but ends the process with it.
int RunDoctor(const Result<Config>& config, const DoctorOptions& options);

}  // namespace catamaran
