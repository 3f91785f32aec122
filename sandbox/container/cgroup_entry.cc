#include "sandbox/container/cgroup_entry.h"

namespace catamaran {

CgroupEntry EntryInto(const CgroupTree& tree, const Cgroup& group) {
  if (tree.kind() == CgroupTree::Kind::kUnified) return {.clone_fd = group.clone_fd()};
  return {.join = &group};
}

}  // namespace catamaran
