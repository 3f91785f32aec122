#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// catamaran-shim keep-templates --root DIR
//
// The node's template keeper (vm-backend/templates/template_keeper.h), started by the daemon with
// its listening socket and its lock as a shim is. Ends by itself once no daemon has been connected
// for a while. Returns when it does.
Status RunTemplateKeeper(const std::string& root);

}  // namespace catamaran
