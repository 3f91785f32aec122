#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The flags of `catamaran-shim probe`: written by the daemon's program, read by the shim's.
struct ProbeFlags {
  enum class Of {
    kHost,        // what every hull stands on
    kNamespaces,  // the ns hull beside that
    kVm,          // the vm hull beside that, for one machine
  };
  Of of = Of::kHost;
  uint64_t patience_seconds = 5;  // for one probe
  std::string cgroup;             // kHost: path of a group to make and remove
  std::string scratch;            // kNamespaces: a folder as sandbox/probes/engine_probes.h says
  spec::MachineSpec machine;      // kVm

  std::vector<std::string> ToArguments() const;
  // kInvalidArgument names the flag.
  static Result<ProbeFlags> Parse(const std::vector<std::string>& arguments);
};

}  // namespace catamaran
