#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The pod's interface for the sandbox's specification: its addresses as the plugins' result says
// (`addresses`, with prefix lengths), its MAC, MTU and routes as they are in the kernel, which
// results only tell in part: a guest gets the same. An error where there is no such interface or it
// has no address.
Result<spec::NetworkInterface> DescribePodInterface(int namespace_fd, const std::string& name,
                                                    const std::vector<std::string>& addresses,
                                                    const std::string& source);

}  // namespace catamaran
