#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/host/shared_disks.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// The host's block devices that a pod's containers were given, as disks of its machine. One disk
// for a device, however many containers use it; a second one where some may only read it, which is
// then refused on the host's side whatever the guest does.
class BlockDevices {
 public:
  BlockDevices(EventLoop& loop, VirtualMachine& machine)
      : loop_(loop), machine_(machine), disks_(machine, "device") {}

  // Opens device.host_path, in a child, and attaches it: for reading only where its permissions
  // have no "w". `done` gets the device as the agent's specification has it. Undo with Release.
  // kInvalidArgument where it is no block device.
  void Acquire(const spec::Device& device, Completion<spec::Device> done);
  // Detaches the disk with its last user. Unknown serials are success.
  void Release(const std::string& serial, Done done);

 private:
  using Key = std::pair<dev_t, bool>;  // the device; read-only
  void Attach(const spec::Device& device, Result<UniqueFd> opened, Completion<spec::Device> done);

  EventLoop& loop_;
  VirtualMachine& machine_;
  uint64_t next_opener_ = 1;
  std::map<uint64_t, std::unique_ptr<ChildTask>> openers_;
  SharedDisks<Key> disks_;
};

}  // namespace catamaran
