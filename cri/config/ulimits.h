#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A limit as docker and CRI-O write it: "nofile=1024:2048", "core=-1", "RLIMIT_NPROC=100"; one
// number is both the soft and the hard limit, -1 is no limit. Empty where it is none of these.
Result<spec::Rlimit> ParseUlimit(const std::string& text);

}  // namespace catamaran
