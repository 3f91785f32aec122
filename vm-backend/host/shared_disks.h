#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// Disks of a machine that several containers use: each is attached for the first of them, under a
// serial that is never used twice, and detached after the last. `Key` is what is the same disk.
// Lives on the machine's thread.
template <typename Key>
class SharedDisks {
 public:
  // Serials are `prefix` and a number.
  SharedDisks(VirtualMachine& machine, std::string prefix)
      : machine_(machine), prefix_(std::move(prefix)) {}

  // `attach(serial, done)` is called where the disk is not there and not on its way; `done` gets
  // the serial, or what became of the attaching. Undo with Release.
  template <typename Attach>
  void Acquire(const Key& key, Attach attach, Completion<std::string> done) {
    const auto [found, is_new] = disks_.try_emplace(key);
    Disk& disk = found->second;
    ++disk.users;
    if (disk.attached) return done(disk.serial);
    disk.waiting.push_back(std::move(done));
    if (!is_new) return;
    disk.serial = fmt::format("{}-{}", prefix_, next_++);
    attach(disk.serial, [this, key](Status attached) { Attached(key, attached); });
  }

  // Detaches the disk with its last user; the guest has unmounted it. Unknown serials are success.
  void Release(const std::string& serial, Done done) {
    const auto found = std::find_if(disks_.begin(), disks_.end(),
                                    [&](const auto& one) { return one.second.serial == serial; });
    if (found == disks_.end() || --found->second.users > 0) return done({});
    disks_.erase(found);
    machine_.DetachDisk(serial, std::move(done));
  }

 private:
  struct Disk {
    std::string serial;
    int users = 0;
    bool attached = false;
    std::vector<Completion<std::string>> waiting;
  };
  // One that could not be attached is tried anew for the next user.
  void Attached(const Key& key, const Status& attached) {
    const auto found = disks_.find(key);
    if (found == disks_.end()) return;
    auto waiting = std::move(found->second.waiting);
    const std::string serial = found->second.serial;
    found->second.attached = true;
    if (!attached) disks_.erase(found);
    for (auto& one : waiting) {
      if (attached)
        one(serial);
      else
        one(tl::unexpected<Error>(attached.error()));
    }
  }

  VirtualMachine& machine_;
  const std::string prefix_;
  uint64_t next_ = 1;
  std::map<Key, Disk> disks_;
};

}  // namespace catamaran
