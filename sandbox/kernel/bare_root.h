#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A "/" for a process that is to see nothing of the host but what is shown to it: an empty tmpfs
// with single files and folders of the host mounted into it. For a child in a mount namespace of
// its own, before it gives up the capabilities that mounting takes. Blocks for the file system
// only.
class BareRoot {
 public:
  static Result<BareRoot> Make();

  // Mounts a file, folder or device of the host (without what is mounted below it) at `name`, an
  // absolute path below which nothing was shown before. `attributes` are MOUNT_ATTR_*. kNotFound
  // where the host has no such file.
  Status Show(const std::string& host_path, const std::string& name, uint64_t attributes);
  // Makes it the root and read-only; what is not shown is out of reach afterwards, except by
  // descriptors that are open. The working directory is "/".
  Status Enter();

 private:
  explicit BareRoot(UniqueFd root) : root_(std::move(root)) {}
  UniqueFd root_;
};

}  // namespace catamaran
