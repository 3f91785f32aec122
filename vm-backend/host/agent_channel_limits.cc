#include "vm-backend/host/agent_channel_limits.h"

namespace catamaran {

const ChannelLimits kAgentChannelLimits;

}  // namespace catamaran
