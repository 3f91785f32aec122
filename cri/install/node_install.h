#pragma once

#include "cri/install/node_files.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct NodeInstallOptions {
  NodePlaces places;
  enum class Kubelet {
    kKeep,     // it goes on with the runtime it has
    kNext,     // it uses Catamaran from its next start on
    kRestart,  // the same, and it is started again at once: for nodes that run nothing yet
  } kubelet = Kubelet::kKeep;
};

// `catamaran node install`: the tree that this program belongs to becomes the node's. Programs, a
// configuration where there is none, the unit, the kubelet's drop-in; enabled and started where
// systemd runs, restarted where programs or unit changed (pods go on). Does nothing a second time.
// Says on standard output what it did and what is next. After it, this process may be in the
// node's mount namespace.
Status NodeInstallCommand(const NodeInstallOptions& options);

}  // namespace catamaran
