#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Whether getrlimit(2) has a limit of this name, as "RLIMIT_NOFILE".
bool IsRlimitName(std::string_view name);

// A limit as docker and CRI-O write it: "nofile=1024:2048", "core=-1", "RLIMIT_NPROC=100"; one
// number is both the soft and the hard limit, -1 is no limit. Empty where it is none of these.
Result<spec::Rlimit> ParseUlimit(const std::string& text);

}  // namespace catamaran
