#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// One file of a volume that the guest's kernel knows.
struct VolumeNode {
  uint64_t id = 0;
  UniqueFd path_fd;  // O_PATH: names the inode, whatever happens to its name
  uint64_t volume = 0;
  dev_t device = 0;
  ino_t inode = 0;
  mode_t type = 0;  // S_IFMT bits
  uint64_t lookups = 0;
  uint64_t scope = 0;     // among what this is the one node of its inode
  bool readonly = false;  // path_fd leads to no writing
};

// The files that a guest holds references to, by the number it knows them by. Numbers and handles
// come back from a hostile kernel, so they are looked up, never cast to pointers. Not thread-safe.
class NodeTable {
 public:
  static constexpr uint64_t kRoot = 1;  // FUSE_ROOT_ID: the folder whose entries are the volumes

  // Numbers of other nodes than roots begin here; those of another incarnation of a server, which
  // knows none of this one's, elsewhere.
  explicit NodeTable(uint64_t incarnation = 0) : next_id_((incarnation + 1) << 40) {}

  // A volume's root has the same number in every incarnation: a mount of it in the guest has no
  // other way back to it.
  static constexpr uint64_t RootOf(uint64_t volume) { return kRoot + 1 + volume; }
  // The volume whose root has this number, whether there is one or not; 0 < number < 1 << 40.
  static constexpr bool IsRootOfVolume(uint64_t id) { return id > kRoot && id < (1ull << 40); }
  static constexpr uint64_t VolumeOfRoot(uint64_t id) { return id - kRoot - 1; }

  // How Refer is to take a file.
  struct Way {
    uint64_t volume = 0;
    bool root = false;      // it is the volume's root
    bool readonly = false;  // by a mount that is
    bool alone = false;     // never one node with a file of another volume
  };
  // The node of this file, with one more reference; path_fd is dropped where it is known already.
  //
  // Whatever volumes it is reached by, a file is one node, so that the guest's kernel has one inode
  // of it: one page cache, one set of locks, one listener of a socket. One way for writing makes it
  // writable; that a container's way is not is then its own mount's word. A folder is a node of
  // each volume: a guest's kernel knows a folder by one name only.
  VolumeNode* Refer(const Way& way, UniqueFd path_fd, const struct stat& status);
  // nullptr for a number that is not in use (kRoot included).
  VolumeNode* Find(uint64_t id);
  void Forget(uint64_t id, uint64_t lookups);
  size_t size() const { return nodes_.size(); }

 private:
  using Key = std::tuple<uint64_t, dev_t, ino_t>;  // the scope first
  std::unordered_map<uint64_t, std::unique_ptr<VolumeNode>> nodes_;
  std::map<Key, uint64_t> by_file_;
  uint64_t next_id_;
};

// Open files and folders by number, for the same reason.
template <typename T>
class HandleTable {
 public:
  explicit HandleTable(uint64_t incarnation = 0) : next_((incarnation << 40) + 1) {}
  uint64_t Add(T value) {
    const uint64_t handle = next_++;
    entries_.emplace(handle, std::move(value));
    return handle;
  }
  T* Find(uint64_t handle) {
    const auto found = entries_.find(handle);
    return found == entries_.end() ? nullptr : &found->second;
  }
  void Remove(uint64_t handle) { entries_.erase(handle); }
  size_t size() const { return entries_.size(); }

 private:
  std::unordered_map<uint64_t, T> entries_;
  uint64_t next_;
};

}  // namespace catamaran
