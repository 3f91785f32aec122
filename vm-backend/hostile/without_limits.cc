// The host taking from a guest's channels whatever comes. Linked in the place of the limits, into a
// test.
#include <cstdint>

#include "vm-backend/host/agent_channel_limits.h"
#include "vm-backend/volumes/server_limits.h"

namespace catamaran {

const ChannelLimits kAgentChannelLimits{.max_message = SIZE_MAX};

const size_t kLongestServedRequest = SIZE_MAX;

}  // namespace catamaran
