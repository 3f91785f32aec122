#pragma once

#include <sys/types.h>
#include <cstdint>
#include <span>

#include "sandbox/base/result.h"

namespace catamaran {

// What is left to a volume server. Its guest's requests are parsed in it, so it may come to act for
// the guest; it must be able to give files to any user, so it cannot be an ordinary user itself.
// Each of these alone keeps it from the host; tests take them away one by one.
enum class ServerDefence : uint32_t {
  // Namespaces of its own for users, processes, the network, IPC and names: what it may do to files
  // it may do to nothing else, and it can name no process but itself. All ids mean themselves in
  // that user namespace. Where the host forbids user namespaces it goes without that one.
  kNamespaces = 1 << 0,
  // An empty read-only "/", and /proc/self/fd as the working folder, detached, with nothing above
  // it: the only way to open an inode again that an O_PATH descriptor holds.
  kRoot = 1 << 1,
  // Only the capabilities that file ownership takes.
  kCapabilities = 1 << 2,
  // Only the system calls it makes, and no memory that is executable.
  kSystemCalls = 1 << 3,
};
constexpr uint32_t kAllServerDefences = 15;

// CLONE_NEW* for the server's clone; with user namespaces or without.
uint64_t ServerNamespaces(uint32_t defences, bool user_namespace);

// In the parent: gives a child with a user namespace of its own the ids of this one, each as
// itself.
Status MapAllUsers(pid_t child);

// In the child, once its ids are mapped: for good.
Status ConfineServer(uint32_t defences);

}  // namespace catamaran
