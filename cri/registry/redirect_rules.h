#pragma once

#include "cri/registry/http.h"

namespace catamaran {

// Leaves in a request only what may go to a host that a registry redirected it to, which is not the
// one that credentials and configured headers are for (CVE-2020-15157): what says which bytes are
// wanted.
void KeepWhatMayGoElsewhere(HttpRequest& request);

}  // namespace catamaran
