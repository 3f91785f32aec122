#include "cri/images/erofs/merge.h"

#include <utility>

namespace catamaran::erofs {
namespace {

constexpr size_t kMaximumInodes = 8 << 20;

void CopyAttributes(const Inode& from, Inode& to) {
  to.mode = from.mode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mtime = from.mtime;
  to.mtime_nsec = from.mtime_nsec;
  to.xattrs.clear();
  for (const auto& xattr : from.xattrs)
    if (!IsOverlayXattr(xattr.name)) to.xattrs.push_back(xattr);
  to.implicit = false;
}

bool IsOpaque(const Inode& directory) {
  const Xattr* xattr = directory.FindXattr(kOpaqueXattr);
  return xattr != nullptr && xattr->value == "y";
}

Status Shift(uint64_t blocks, uint32_t& block) {
  if (block + blocks >= kNoBlock)
    return Fail(ErrorCode::kResourceExhausted, "the merged image is larger than 16 TiB");
  block += static_cast<uint32_t>(blocks);
  return {};
}

Status ShiftInode(uint64_t blocks, Inode& inode) {
  if (!S_ISREG(inode.mode) || inode.size == 0) return {};
  if (!inode.chunks) return Shift(blocks, inode.first_block);
  for (ChunkRun& run : inode.chunks->runs) RETURN_IF_ERROR(Shift(blocks, run.block));
  return {};
}

}  // namespace

Status LayerMerger::Add(const FileTree& layer, uint64_t first_block) {
  first_block_ = first_block;
  copies_.assign(layer.size(), FileTree::kRoot);
  if (!layer.at(FileTree::kRoot).implicit)
    CopyAttributes(layer.at(FileTree::kRoot), merged_.at(FileTree::kRoot));
  pending_.push_back({FileTree::kRoot, FileTree::kRoot});
  while (!pending_.empty()) {
    const Pair pair = pending_.back();
    pending_.pop_back();
    RETURN_IF_ERROR(MergeDirectory(layer, pair));
  }
  return {};
}

Status LayerMerger::MergeDirectory(const FileTree& layer, Pair pair) {
  auto& children = *merged_.at(pair.merged).children;
  if (IsOpaque(layer.at(pair.layer))) children.clear();
  for (const auto& [name, index] : *layer.at(pair.layer).children) {
    const Inode& inode = layer.at(index);
    if (inode.IsWhiteout()) {
      children.erase(name);
      continue;
    }
    const auto found = children.find(name);
    if (inode.IsDirectory() && found != children.end() && merged_.at(found->second).IsDirectory()) {
      if (inode.implicit) {
        shadowed_.insert(found->second);
      } else {
        CopyAttributes(inode, merged_.at(found->second));
        shadowed_.erase(found->second);
      }
      pending_.push_back({index, found->second});
      continue;
    }
    ASSIGN_OR_RETURN(const InodeIndex copy, CopyOf(layer, index));
    children.insert_or_assign(name, copy);
    if (inode.IsDirectory()) pending_.push_back({index, copy});
  }
  return {};
}

Result<InodeIndex> LayerMerger::CopyOf(const FileTree& layer, InodeIndex index) {
  if (copies_[index] != FileTree::kRoot) return copies_[index];
  if (merged_.size() >= kMaximumInodes)
    return Fail(ErrorCode::kResourceExhausted, "the layers together hold more than {} files",
                kMaximumInodes);
  const Inode& from = layer.at(index);
  if (from.IsDirectory()) {
    const InodeIndex copy = merged_.AddDirectory(0);
    CopyAttributes(from, merged_.at(copy));
    return copy;
  }
  Inode inode;
  CopyAttributes(from, inode);
  inode.device = from.device;
  inode.size = from.size;
  inode.target = from.target;
  inode.first_block = from.first_block;
  if (from.chunks) inode.chunks = std::make_unique<ChunkMap>(*from.chunks);
  RETURN_IF_ERROR(ShiftInode(first_block_, inode));
  copies_[index] = merged_.Add(std::move(inode));
  return copies_[index];
}

std::optional<FileTree> LayerMerger::AttributeLayer() const {
  if (shadowed_.empty()) return std::nullopt;
  struct Place {
    InodeIndex parent = FileTree::kRoot;
    const std::string* name = nullptr;  // nullptr: not a folder of the merged tree
    InodeIndex copy = FileTree::kRoot;  // in the layer; the root: none yet
  };
  std::vector<Place> places(merged_.size());
  std::vector<InodeIndex> folders = {FileTree::kRoot};
  for (size_t next = 0; next < folders.size(); ++next) {
    const InodeIndex parent = folders[next];
    for (const auto& [name, child] : *merged_.at(parent).children) {
      if (!merged_.at(child).IsDirectory()) continue;
      places[child] = {parent, &name};
      folders.push_back(child);
    }
  }
  FileTree layer;
  CopyAttributes(merged_.at(FileTree::kRoot), layer.at(FileTree::kRoot));
  for (const InodeIndex shadowed : shadowed_) {
    std::vector<InodeIndex> missing;  // from the folder up to the first that is there
    InodeIndex index = shadowed;
    while (places[index].name != nullptr && places[index].copy == FileTree::kRoot) {
      missing.push_back(index);
      index = places[index].parent;
    }
    InodeIndex parent = places[index].copy;
    for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
      places[*at].copy = layer.AddDirectory(0);
      CopyAttributes(merged_.at(*at), layer.at(places[*at].copy));
      layer.at(parent).children->emplace(*places[*at].name, places[*at].copy);
      parent = places[*at].copy;
    }
  }
  return layer;
}

Status LayerMerger::ShiftData(uint64_t blocks) {
  for (InodeIndex index = 0; index < merged_.size(); ++index)
    RETURN_IF_ERROR(ShiftInode(blocks, merged_.at(index)));
  return {};
}

}  // namespace catamaran::erofs
