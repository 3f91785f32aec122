#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// What a volume server begins with.
struct VolumeServerStart {
  UniqueFd stream;   // to the guest
  UniqueFd control;  // to the shim, volume_control.h
  std::string secret;
  uint64_t incarnation = 0;  // how many servers of this pod there were before
  struct Volume {
    uint64_t number = 0;
    UniqueFd root;
    bool watched = false;
    uint32_t access = 0;
  };
  std::vector<Volume> volumes;  // those that the shim has added so far
};

// The body of the volume server, called in a freshly cloned child (ServerNamespaces) that owns
// nothing but these descriptors. Confines itself (ConfineServer), then serves until the stream
// closes: 0. Otherwise the exit code says what failed.
int RunVolumeServer(VolumeServerStart start);

}  // namespace catamaran
