#pragma once

#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/host_volumes.h"

namespace catamaran {

// HostVolumes by a volume server: one child process a pod, started with the channel and its secret.
// `on_lost` is called once if the server ends by itself for good: the guest's files below the
// volumes answer no more.
Result<std::unique_ptr<HostVolumes>> MakeServedVolumes(EventLoop& loop, UniqueFd channel,
                                                       const std::string& secret,
                                                       UniqueFunction<void()> on_lost);

}  // namespace catamaran
