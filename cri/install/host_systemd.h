#pragma once

#include <string>
#include <vector>

#include "cri/install/node_files.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The node's systemd, for commands that may run in a container of the node.
class HostSystemd {
 public:
  // sd_booted(3) of the node.
  static bool Runs(const NodePlaces& places);
  // Where places.host is not "/" this process, which has one thread, enters the mount namespace of
  // process 1, for good: from then on it sees the node's files as the node does.
  // kFailedPrecondition where process 1 is not the node's, or may not be followed.
  static Result<HostSystemd> Enter(const NodePlaces& places);

  // systemctl(1) with these words; blocks until it has ended. Its words are in the error.
  Status Control(std::vector<std::string> words) const;

 private:
  explicit HostSystemd(UniqueFd systemctl) : systemctl_(std::move(systemctl)) {}
  UniqueFd systemctl_;
};

}  // namespace catamaran
