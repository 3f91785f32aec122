#include "cri/base/version.h"

namespace catamaran {

const char* Version() { return CATAMARAN_VERSION; }

}  // namespace catamaran
