#pragma once

#include <string>

#include "cri/images/image_store.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "shim/client/shim_client.h"

namespace catamaran {

// A runtime handler as the configuration describes it: which backend its shims start, and the
// machine behind it.
struct Handler {
  std::string name;
  ShimManager::Backend backend = ShimManager::Backend::kNamespaces;
  spec::MachineSpec machine;  // kVm only

  ImageStore::RootfsKind rootfs_kind() const {
    return backend == ShimManager::Backend::kVm ? ImageStore::RootfsKind::kMergedDisk
                                                : ImageStore::RootfsKind::kLayers;
  }
};

}  // namespace catamaran
