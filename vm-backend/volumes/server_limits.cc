#include "vm-backend/volumes/server_limits.h"

#include "vm-backend/volumes/fuse_request.h"

namespace catamaran {

const size_t kLongestServedRequest = kMaxFuseRequest;

}  // namespace catamaran
