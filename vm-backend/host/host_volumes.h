#pragma once

#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What stands in the agent's specification for a mount of a host path.
struct SharedVolume {
  std::string path;  // volume_path: relative, chosen by us, without ".."
  spec::GuestVolume guest;
};

// The host's files that a pod in a VM may see, behind the volume channel. One object serves one
// pod, on the loop's thread; destroying it ends the server.
class HostVolumes {
 public:
  virtual ~HostVolumes() = default;

  // Makes what mount.host_path names (a file or a folder, resolved on the host, once) reachable
  // in the guest, read-only on the host's side where the mount is. Mounts of one container that
  // share a source may share a path.
  virtual void Share(const ContainerId& container, const spec::Mount& mount,
                     Completion<SharedVolume> done) = 0;
  // Takes back all that a container was given. Unknown ids are fine.
  virtual void Unshare(const ContainerId& container) = 0;
};

// Makes the volume server of a pod, joined to the guest by `channel`. `sandbox` is the host's
// specification.
using HostVolumesFactory = UniqueFunction<Result<std::unique_ptr<HostVolumes>>(
    const spec::SandboxSpec& sandbox, UniqueFd channel)>;

}  // namespace catamaran
