#pragma once

#include <string_view>

#include "sandbox/backend/pod_protocol.pb.h"

namespace catamaran {

// "CreateSandbox"; "request" where this build does not know the verb.
std::string_view VerbName(const pod::Request& request);

}  // namespace catamaran
