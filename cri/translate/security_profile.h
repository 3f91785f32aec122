#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What seccomp and AppArmor profiles have in common in requests. Errors name `field`.

// Of a known type, and with a localhost_ref where, and only where, that is Localhost.
Status CheckSecurityProfile(const std::string& field, const runtime::v1::SecurityProfile& profile);
// The strings that SecurityProfile has replaced: "runtime/default", "unconfined", "localhost/x".
Result<runtime::v1::SecurityProfile> ProfileFromDeprecated(const std::string& field,
                                                           const std::string& text);
std::string WithoutLocalhostPrefix(const std::string& reference);

}  // namespace catamaran
