#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct SupportBundleOptions {
  std::string file;      // to write, *.tar.zst; it must not be there
  std::string log_file;  // the daemon's; empty: from the journal of unit catamaran, if there is one
  std::string config_file;  // as the command line names it; for doctor, may be empty
};

// `catamaran support-bundle`: what somebody far away needs to help, in one archive that only its
// owner may read, without what is known or looks to be secret (cri/base/redact.h). What cannot be
// had is said in it and is no error; a daemon that does not answer is such a thing.
Status SupportBundleCommand(const Config& config, const SupportBundleOptions& options);

}  // namespace catamaran
