#pragma once

#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "vm-backend/host/shared_disks.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The images of a pod as disks of its machine: one read-only disk per image, however many
// containers use it and whatever its number of layers, the blobs themselves laid end to end.
class ImageDisks {
 public:
  explicit ImageDisks(VirtualMachine& machine) : machine_(machine), disks_(machine, "image") {}

  // Attaches the image of rootfs, or joins those that use it already. `done` gets the serial of its
  // disk. Undo with Release. kInvalidArgument where the image has no merged metadata.
  void Acquire(const spec::RootfsSpec& rootfs, Completion<std::string> done);
  // Detaches the disk with its last user; the guest has unmounted it. Unknown serials are success.
  void Release(const std::string& serial, Done done);

 private:
  VirtualMachine& machine_;
  SharedDisks<std::string> disks_;  // by path of the metadata
};

}  // namespace catamaran
