#pragma once

#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// What an agent can make its shim hold. Defined by itself: tests of a hostile guest are linked
// without these limits, to show what they are for.
extern const ChannelLimits kAgentChannelLimits;

}  // namespace catamaran
