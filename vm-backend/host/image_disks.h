#pragma once

#include <map>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The images of a pod as disks of its machine: one read-only disk per image, however many
// containers use it and whatever its number of layers, the blobs themselves laid end to end.
class ImageDisks {
 public:
  explicit ImageDisks(VirtualMachine& machine) : machine_(machine) {}

  // Attaches the image of rootfs, or joins those that use it already. `done` gets the serial of its
  // disk. Undo with Release. kInvalidArgument where the image has no merged metadata.
  void Acquire(const spec::RootfsSpec& rootfs, Completion<std::string> done);
  // Detaches the disk with its last user; the guest has unmounted it. Unknown serials are success.
  void Release(const std::string& serial, Done done);

 private:
  struct Image {
    std::string serial;
    int users = 0;
    bool attached = false;
    std::vector<Completion<std::string>> waiting;
  };

  VirtualMachine& machine_;
  uint64_t next_ = 1;                    // a serial is never used twice
  std::map<std::string, Image> images_;  // by path of the metadata
};

}  // namespace catamaran
