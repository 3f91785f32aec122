#pragma once

#include <optional>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A network namespace with lo up that is owned by a new user namespace with these maps: its root
// may then configure it and mount its /sys, and the engine finds it through its network. Made by
// `catamaran-shim network-namespace` (`helper` is that program), because threads cannot. Nothing of
// it is left unless the descriptor is kept.
Result<UniqueFd> MakeMappedNetworkNamespace(const spec::UserNamespace& users,
                                            const HostPath& helper, Deadline deadline);

// PinNewNetworkNamespace, with an owner where the pod has a user namespace.
Result<UniqueFd> PinPodNetworkNamespace(const HostPath& path,
                                        const std::optional<spec::UserNamespace>& users,
                                        const HostPath& helper, Deadline deadline);

}  // namespace catamaran
