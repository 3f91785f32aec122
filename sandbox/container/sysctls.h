#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Whether a sysctl belongs to a namespace that the sandbox has of its own; the path below /proc/sys
// ("net/ipv4/ip_forward"). kInvalidArgument otherwise. Names may be written with dots or, where a
// component holds dots itself, with slashes (sysctl(8)).
Result<std::string> SysctlPath(const spec::SandboxSpec& sandbox, const std::string& name);

// Writes the sandbox's sysctls in the namespaces of the calling process, each value as a whole to
// the one file that its name is (CVE-2022-0811: a value was taken for further keys).
Status ApplySysctls(const spec::SandboxSpec& sandbox);

}  // namespace catamaran
