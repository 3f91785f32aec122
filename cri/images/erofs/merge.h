#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "cri/images/erofs/tree.h"
#include "sandbox/base/result.h"

namespace catamaran::erofs {

// Puts layers on one another in memory as overlayfs does on mount: whiteouts delete, opaque
// folders hide, the rest is replaced or merged. The result holds neither whiteouts nor overlay
// attributes. One departure: a folder that a layer only has as a parent of others keeps the
// attributes that a layer below gave it, as extracting the archives on top of each other would.
class LayerMerger {
 public:
  LayerMerger() { merged_.at(FileTree::kRoot).implicit = false; }

  // Layers bottom first. `first_block` is where the layer's image starts on the merged disk,
  // counted from the first layer's start. kResourceExhausted where the whole grows too large.
  Status Add(const FileTree& layer, uint64_t first_block);

  // Moves all file data by `blocks`: what the metadata in front of the layers takes.
  Status ShiftData(uint64_t blocks);
  const FileTree& tree() const { return merged_; }

  // A layer to put on top where overlayfs itself merges the layers: it holds the folders whose
  // attributes overlayfs would take from a layer that never gave them any. nullopt where there are
  // none, the root apart: its attributes come from the writable layer there.
  std::optional<FileTree> AttributeLayer() const;

 private:
  struct Pair {
    InodeIndex layer;
    InodeIndex merged;
  };
  Status MergeDirectory(const FileTree& layer, Pair pair);
  Result<InodeIndex> CopyOf(const FileTree& layer, InodeIndex index);

  FileTree merged_;
  uint64_t first_block_ = 0;
  std::set<InodeIndex> shadowed_;   // folders whose topmost layer has them implicitly only
  std::vector<Pair> pending_;       // directories still to be merged
  std::vector<InodeIndex> copies_;  // of the layer's inodes; 0 where none was made yet
};

}  // namespace catamaran::erofs
