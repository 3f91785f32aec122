#include "cri/images/erofs/tree.h"

namespace catamaran::erofs {

const XattrPrefix* FindXattrPrefix(std::string_view name) {
  for (const auto& prefix : kXattrPrefixes) {
    if (prefix.whole ? name == prefix.prefix
                     : name.starts_with(prefix.prefix) && name.size() > prefix.prefix.size())
      return &prefix;
  }
  return nullptr;
}

bool IsOverlayXattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

const Xattr* Inode::FindXattr(std::string_view name) const {
  for (const auto& xattr : xattrs)
    if (xattr.name == name) return &xattr;
  return nullptr;
}

void Inode::SetXattr(std::string_view name, std::string value) {
  for (auto& xattr : xattrs) {
    if (xattr.name == name) {
      xattr.value = std::move(value);
      return;
    }
  }
  xattrs.push_back(Xattr{std::string(name), std::move(value)});
}

FileTree::FileTree() {
  AddDirectory(0755);
  inodes_[kRoot].implicit = true;
}

InodeIndex FileTree::Add(Inode inode) {
  inodes_.push_back(std::move(inode));
  return static_cast<InodeIndex>(inodes_.size() - 1);
}

InodeIndex FileTree::AddDirectory(uint32_t permissions) {
  Inode inode;
  inode.mode = S_IFDIR | permissions;
  inode.children = std::make_unique<std::map<std::string, InodeIndex>>();
  return Add(std::move(inode));
}

const InodeIndex* FileTree::Find(InodeIndex directory, const std::string& name) const {
  const auto& children = inodes_[directory].children;
  if (!children) return nullptr;
  const auto found = children->find(name);
  return found == children->end() ? nullptr : &found->second;
}

}  // namespace catamaran::erofs
