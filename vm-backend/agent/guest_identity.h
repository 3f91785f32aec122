#pragma once

#include <map>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Makes this guest another one than the template it was cloned from, and than its siblings: random
// number generator, clock, hostname, machine-id. Called before anything draws a random number or
// reads the boot id, which the kernel makes up when it is read for the first time.
Status TakeIdentity(const spec::SandboxSpec& sandbox);

// Applies the net.* of these to the guest itself and returns the others, which are the engine's to
// set. kInvalidArgument names a malformed key.
Result<std::map<std::string, std::string>> ApplyNetworkSysctls(const spec::SandboxSpec& sandbox);

}  // namespace catamaran
