#include "cri/install/node_files.h"

#include <fmt/format.h>

#include <sstream>

namespace catamaran {

std::string UnitBelow(std::string unit, const HostPath& prefix) {
  const std::string packaged = "/usr/bin/catamaran ";
  const std::string own = prefix.string() + "/bin/catamaran ";
  for (size_t at = unit.find(packaged); at != std::string::npos;
       at = unit.find(packaged, at + own.size()))
    unit.replace(at, packaged.size(), own);
  return unit;
}

std::string LeavingUnit(const HostPath& prefix, State state) {
  // After a boot no pod runs and nothing is in the way: it is over before the kubelet starts.
  return fmt::format(R"([Unit]
Description=Takes Catamaran off this node once its last pod has ended
Before=kubelet.service

[Service]
Type=exec
ExecStart={}/bin/catamaran node leave --prefix {}{}
KillMode=process

[Install]
WantedBy=multi-user.target
)",
                     prefix.string(), prefix.string(), state == State::kPurge ? " --purge" : "");
}

std::string KubeletDropIn(const std::string& listen) {
  return fmt::format(
      R"(# Made by `catamaran node install`. Without this file the kubelet uses the runtime it had before.
[Unit]
Wants=catamaran.service
After=catamaran.service

[Service]
Environment="KUBELET_EXTRA_ARGS=--container-runtime-endpoint={}"
)",
      listen);
}

bool SetsExtraArguments(const std::string& environment_file) {
  std::istringstream lines(environment_file);
  for (std::string line; std::getline(lines, line);) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin != std::string::npos && line.compare(begin, 19, "KUBELET_EXTRA_ARGS=") == 0)
      return line.find_first_not_of(" \t\"'\r", begin + 19) != std::string::npos;
  }
  return false;
}

}  // namespace catamaran
