#pragma once

#include <string>

#include "sandbox/backend/engine_probe.h"

namespace catamaran {

// The verbs of engine_probe.h, by what they look at.
const ProbeVerbs& FileVerbs();
const ProbeVerbs& ProcessVerbs();

// The name of errno, or `good`.
std::string ProbeErrorOr(long result, const std::string& good = "ok");
// Lines become '|', the last one's end is dropped; the name of errno where it cannot be read.
std::string ProbeReadText(const std::string& path);
std::string ProbeLinkOf(const std::string& path);

}  // namespace catamaran
