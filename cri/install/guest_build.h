#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct GuestBuildOptions {
  std::string output = kGuestFolder;
  std::string kernel = "host";  // as build-guest.sh has it: host or 6.12
  bool update = false;          // look for a newer kernel of the same kind
  bool offline = false;         // with the kernel that was downloaded before, or not at all
};

// `catamaran guest build`: becomes build-guest.sh, which lies beside the program as the agent does,
// and so returns only where it cannot: kNotFound, kPermissionDenied, kFailedPrecondition where this
// is no Debian.
Status GuestBuildCommand(const GuestBuildOptions& options);

}  // namespace catamaran
