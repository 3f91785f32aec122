#pragma once

namespace catamaran {

// Where `doctor --fix` keeps what it changed for the host's next boot; gone with the node's state.
inline constexpr char kKeptModulesFile[] = "/etc/modules-load.d/catamaran.conf";
inline constexpr char kKeptSysctlFile[] = "/etc/sysctl.d/catamaran.conf";

}  // namespace catamaran
