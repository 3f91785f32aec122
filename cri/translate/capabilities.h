#pragma once

#include "cri/api/runtime.pb.h"
#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The bounding set that adds and drops make of the default one: "ALL" first, then single names,
// adds before drops. `field` is how errors name the request's part.
Result<spec::Capabilities> TranslateCapabilities(const runtime::v1::Capability& request,
                                                 const std::string& field);

}  // namespace catamaran
