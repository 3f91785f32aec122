#include "vm-backend/volumes/node_table.h"

namespace catamaran {
namespace {

constexpr uint64_t kAllVolumes = ~0ull;

}  // namespace

VolumeNode* NodeTable::Refer(const Way& way, UniqueFd path_fd, const struct stat& status) {
  const bool own = way.root || way.alone || S_ISDIR(status.st_mode);
  const uint64_t scope = own ? way.volume : kAllVolumes;
  const Key key{scope, status.st_dev, status.st_ino};
  const auto known = by_file_.find(key);
  if (known != by_file_.end()) {
    VolumeNode* node = nodes_.at(known->second).get();
    ++node->lookups;
    if (node->readonly && !way.readonly) {
      node->path_fd = std::move(path_fd);
      node->readonly = false;
    }
    return node;
  }
  auto node = std::make_unique<VolumeNode>();
  node->id = way.root ? RootOf(way.volume) : next_id_++;
  node->path_fd = std::move(path_fd);
  node->volume = way.volume;
  node->device = status.st_dev;
  node->inode = status.st_ino;
  node->type = status.st_mode & S_IFMT;
  node->lookups = 1;
  node->scope = scope;
  node->readonly = way.readonly;
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
  by_file_.erase({node.scope, node.device, node.inode});
  nodes_.erase(found);
}

}  // namespace catamaran
