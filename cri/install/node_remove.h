#pragma once

#include "cri/config/config.h"
#include "cri/install/node_files.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran node remove`, the reverse of `node install`: the kubelet's drop-in goes at once, so
// that its next start is with the runtime of before. Where pods run, they and the daemon that
// serves them stay until the last has ended (drained, or by a boot); then `node leave`, which
// systemd starts, takes the rest. Without systemd nothing else is touched while pods run.
struct NodeRemoveOptions {
  NodePlaces places;
  State state = State::kKeep;  // configuration, images, disks
};
Status NodeRemoveCommand(const NodeRemoveOptions& options);

// `catamaran node leave`: waits, as long as it takes, until no pod runs, then ends the daemon and
// removes what is left of it: sockets and records, with kTree the programs and units, with kPurge
// (or where kPurgeMark is by then) the state. On the node itself, never in a container.
struct NodeLeaveOptions {
  NodePlaces places;
  enum class Files { kTree, kPackage } files = Files::kTree;  // kPackage: dpkg removes those
  State state = State::kKeep;
};
Status NodeLeaveCommand(const Config& config, const NodeLeaveOptions& options);

}  // namespace catamaran
