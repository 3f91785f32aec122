#include "vm-backend/volumes/node_table.h"

namespace catamaran {

VolumeNode* NodeTable::Refer(uint64_t volume, UniqueFd path_fd, const struct stat& status,
                             bool root) {
  const Key key{volume, status.st_dev, status.st_ino};
  const auto known = by_file_.find(key);
  if (known != by_file_.end()) {
    VolumeNode* node = nodes_.at(known->second).get();
    ++node->lookups;
    return node;
  }
  auto node = std::make_unique<VolumeNode>();
  node->id = root ? RootOf(volume) : next_id_++;
  node->path_fd = std::move(path_fd);
  node->volume = volume;
  node->device = status.st_dev;
  node->inode = status.st_ino;
  node->type = status.st_mode & S_IFMT;
  node->lookups = 1;
  by_file_[key] = node->id;
  VolumeNode* result = node.get();
  nodes_[result->id] = std::move(node);
  return result;
}

VolumeNode* NodeTable::Find(uint64_t id) {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : found->second.get();
}

void NodeTable::Forget(uint64_t id, uint64_t lookups) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  VolumeNode& node = *found->second;
  if (lookups < node.lookups) {
    node.lookups -= lookups;
    return;
  }
  by_file_.erase({node.volume, node.device, node.inode});
  nodes_.erase(found);
}

}  // namespace catamaran
