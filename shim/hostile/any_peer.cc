// Whoever connects is answered. Linked in the place of peer_check.cc, into a shim for tests.
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {

Status CheckPeer(int) { return {}; }

}  // namespace catamaran
