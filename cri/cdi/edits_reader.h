#pragma once

#include "cri/base/json.h"
#include "cri/cdi/cdi_spec.h"
#include "cri/cdi/cdi_version.h"

namespace catamaran {

// "containerEdits" of a file or a device of it. An error says where.
Result<CdiEdits> ReadCdiEdits(const JsonObject& edits, const CdiFeatures& features);

}  // namespace catamaran
