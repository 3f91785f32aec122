// In the place of redirect_rules.cc: everything goes everywhere.
#include "cri/registry/redirect_rules.h"

namespace catamaran {

void KeepWhatMayGoElsewhere(HttpRequest&) {}

}  // namespace catamaran
