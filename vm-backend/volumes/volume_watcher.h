#pragma once

#include <cstdint>
#include <map>

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Tells when names in the root folders of projected volumes change: the kubelet swaps "..data".
// Best effort: where the host has no inotify instance left (fs.inotify.max_user_instances), or
// events are lost, the guest finds out at its next look.
class VolumeWatcher {
 public:
  // Needs the working folder to be this process's own /proc/self/fd.
  void Watch(uint64_t volume, int root_fd);
  void Unwatch(uint64_t volume);
  // To poll for reading; -1 while nothing is watched.
  int fd() const { return inotify_.get(); }
  // Takes what is there. True where something changed.
  bool Drain();

 private:
  UniqueFd inotify_;
  std::map<uint64_t, int> watches_;
};

}  // namespace catamaran
