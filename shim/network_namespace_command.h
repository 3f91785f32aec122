#pragma once

#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran-shim network-namespace UID_MAP GID_MAP` (lines as sandbox/kernel/user_namespace.h has
// them): makes a user namespace with these maps and a network namespace that it owns, with lo up,
// and sends the latter's descriptor on the socket that it was given (kNamespaceSocketFd). For the
// daemon, which has threads: only a process without may enter a user namespace.
Status RunNetworkNamespaceCommand(int argc, char** argv);

}  // namespace catamaran
