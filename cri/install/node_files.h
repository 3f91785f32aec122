#pragma once

#include <string>

#include "sandbox/base/strong_types.h"

namespace catamaran {

// Where things are on a node whose programs are a tree of their own: the tarball's or the installer
// image's, not Debian's package.
struct NodePlaces {
  HostPath host{"/"};  // the node's root, as this process sees it
  HostPath prefix;     // of the programs, as the node sees it: /opt/catamaran

  // What the node calls `path`, as this process sees it.
  HostPath On(const std::string& path) const {
    return HostPath(host.value() / path.substr(path.find_first_not_of('/')));
  }
};

// As the node sees them.
inline constexpr char kUnitFile[] = "/etc/systemd/system/catamaran.service";
inline constexpr char kLeavingUnitFile[] = "/etc/systemd/system/catamaran-leaving.service";
inline constexpr char kKubeletDropInFile[] =
    "/etc/systemd/system/kubelet.service.d/90-catamaran.conf";
inline constexpr char kCommandLink[] = "/usr/local/bin/catamaran";
// Where Debian's package keeps the program: two installations would share one socket.
inline constexpr char kPackagedProgram[] = "/usr/lib/catamaran/catamaran";
// Below the prefix: the unit and the configuration that the tree brings.
inline constexpr char kTreeUnit[] = "share/catamaran/catamaran.service";
inline constexpr char kTreeConfig[] = "share/catamaran/config.yaml";
// Tells `node leave` to remove the state too, however late that is decided.
inline constexpr char kPurgeMark[] = "/run/catamaran-leaving/purge";

// The package's unit with the programs below `prefix`.
std::string UnitBelow(std::string unit, const HostPath& prefix);

// The unit that takes Catamaran off the node once its pods have ended, in this boot or the next.
enum class State { kKeep, kPurge };
std::string LeavingUnit(const HostPath& prefix, State state);

// Has the kubelet use this socket ("unix:///...") from its next start on.
std::string KubeletDropIn(const std::string& listen);

// Whether an environment file of the kubelet's (as /etc/default/kubelet) sets KUBELET_EXTRA_ARGS:
// then the drop-in has no effect, as systemd prefers files to Environment=.
bool SetsExtraArguments(const std::string& environment_file);

}  // namespace catamaran
