#include "cri/images/layer/layer_tree.h"

#include <limits.h>

#include <algorithm>

namespace catamaran {
namespace {

using erofs::FileTree;
using erofs::Inode;
using erofs::InodeIndex;

constexpr size_t kMaximumDepth = 512;
constexpr int kMaximumSymlinks = 40;  // as the kernel's MAXSYMLINKS
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";
constexpr std::string_view kAufsPrefix = ".wh..wh.";

// A path for a message: hostile names are cut short.
std::string Shown(std::string_view path) { return std::string(path.substr(0, 200)); }

void PushReversed(std::string_view path, std::vector<std::string>& pending) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const auto slash = path.find('/');
    components.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  pending.insert(pending.end(), components.rbegin(), components.rend());
}

}  // namespace

Status LayerTree::Count(uint64_t metadata_bytes) {
  if (++entries_ > limits_.entries)
    return Fail(ErrorCode::kResourceExhausted, "the layer has more than {} entries",
                limits_.entries);
  metadata_bytes_ += metadata_bytes;
  if (metadata_bytes_ > limits_.metadata_bytes)
    return Fail(ErrorCode::kResourceExhausted,
                "the layer has more than {} bytes of names and attributes", limits_.metadata_bytes);
  return {};
}

// Components with "." and "//" removed and ".." taken back, never beyond the root.
Result<std::vector<std::string>> LayerTree::Split(std::string_view path) const {
  if (path.size() >= PATH_MAX)
    return Fail(ErrorCode::kInvalidArgument, "layer entry {}...: the path has {} bytes",
                Shown(path), path.size());
  std::vector<std::string> components;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      if (!components.empty()) components.pop_back();
      continue;
    }
    if (component.size() > erofs::kMaximumName)
      return Fail(ErrorCode::kInvalidArgument,
                  "layer entry {}...: a name has {} bytes, at most 255", Shown(component),
                  component.size());
    components.emplace_back(component);
  }
  return components;
}

Result<InodeIndex> LayerTree::ResolveParent(const std::vector<std::string>& components,
                                            const std::string& path) {
  std::vector<std::string> parents(components.begin(), components.end() - 1);
  if (parents == cached_components_) return cached_parent_;
  std::vector<std::string> pending(parents.rbegin(), parents.rend());
  ASSIGN_OR_RETURN(cached_parent_, Walk(std::move(pending), path));
  cached_components_ = std::move(parents);
  return cached_parent_;
}

// Follows components (last one first in `pending`) as openat2(RESOLVE_IN_ROOT) would, making what
// is missing.
Result<InodeIndex> LayerTree::Walk(std::vector<std::string> pending, const std::string& path) {
  std::vector<InodeIndex> stack = {FileTree::kRoot};
  int symlinks = 0;
  while (!pending.empty()) {
    const std::string name = std::move(pending.back());
    pending.pop_back();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (stack.size() > 1) stack.pop_back();
      continue;
    }
    if (name.starts_with(kWhiteoutPrefix) || name.size() > erofs::kMaximumName)
      return Fail(ErrorCode::kInvalidArgument, "layer entry {}: {} cannot be a folder", Shown(path),
                  Shown(name));
    if (stack.size() > kMaximumDepth)
      return Fail(ErrorCode::kInvalidArgument, "layer entry {}: deeper than {} folders",
                  Shown(path), kMaximumDepth);
    const InodeIndex* found = tree_.Find(stack.back(), name);
    if (found == nullptr) {
      RETURN_IF_ERROR(Count(name.size()));
      const InodeIndex made = tree_.AddDirectory(0755);
      tree_.at(made).implicit = true;
      tree_.at(stack.back()).children->emplace(name, made);
      stack.push_back(made);
    } else if (tree_.at(*found).IsDirectory()) {
      stack.push_back(*found);
    } else if (S_ISLNK(tree_.at(*found).mode)) {
      if (++symlinks > kMaximumSymlinks)
        return Fail(ErrorCode::kInvalidArgument, "layer entry {}: too many symlinks", Shown(path));
      const std::string& target = tree_.at(*found).target;
      if (target.starts_with('/')) stack.resize(1);
      PushReversed(target, pending);
    } else {
      return Fail(ErrorCode::kInvalidArgument, "layer entry {}: its parent {} is not a folder",
                  Shown(path), Shown(name));
    }
  }
  return stack.back();
}

Result<std::optional<InodeIndex>> LayerTree::Apply(Entry entry) {
  RETURN_IF_ERROR(CheckEntry(entry));
  ASSIGN_OR_RETURN(const auto components, Split(entry.path));
  if (components.empty()) {
    RETURN_IF_ERROR(ApplyToRoot(entry));
    return std::nullopt;
  }
  const std::string& name = components.back();
  ASSIGN_OR_RETURN(const InodeIndex parent, ResolveParent(components, entry.path));
  ASSIGN_OR_RETURN(const bool whiteout, ApplyWhiteout(parent, name, entry.path));
  if (whiteout) return std::nullopt;
  if (entry.hard_link) {
    RETURN_IF_ERROR(ApplyHardLink(parent, name, entry));
    return std::nullopt;
  }
  // A device 0:0 is what overlayfs takes for a whiteout: tools that archive an upper folder as it
  // is leave them.
  if (entry.inode.IsWhiteout()) {
    whiteouts_[parent].insert(name);
    return std::nullopt;
  }
  Inode& inode = entry.inode;
  if (inode.IsDirectory()) {
    if (const InodeIndex* found = tree_.Find(parent, name);
        found != nullptr && tree_.at(*found).IsDirectory()) {
      inode.children = std::move(tree_.at(*found).children);
      tree_.at(*found) = std::move(inode);
      return std::nullopt;
    }
    inode.children = std::make_unique<std::map<std::string, InodeIndex>>();
  }
  const bool is_directory = inode.IsDirectory();
  const InodeIndex index = tree_.Add(std::move(inode));
  Replace(parent, name, index);
  if (is_directory) return std::nullopt;
  return index;
}

void LayerTree::Replace(InodeIndex parent, const std::string& name, InodeIndex with) {
  const auto [place, added] = tree_.at(parent).children->emplace(name, with);
  if (added) return;
  // Applied in order, the first entry had already replaced what the layers below have here.
  if (tree_.at(with).IsDirectory() && !tree_.at(place->second).IsDirectory()) opaque_.insert(with);
  place->second = with;
  cached_components_.clear();
  cached_parent_ = FileTree::kRoot;
}

Status LayerTree::ApplyToRoot(Entry& entry) {
  if (entry.hard_link || !entry.inode.IsDirectory())
    return Fail(ErrorCode::kInvalidArgument, "layer entry {}: the root can only be a folder",
                Shown(entry.path));
  entry.inode.children = std::move(tree_.at(FileTree::kRoot).children);
  tree_.at(FileTree::kRoot) = std::move(entry.inode);
  return {};
}

Result<bool> LayerTree::ApplyWhiteout(InodeIndex parent, const std::string& name,
                                      const std::string& path) {
  if (!name.starts_with(kWhiteoutPrefix)) return false;
  if (name == kOpaqueName) {
    opaque_.insert(parent);
    return true;
  }
  if (name.starts_with(kAufsPrefix)) return true;
  const std::string hidden = name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..")
    return Fail(ErrorCode::kInvalidArgument, "layer entry {}: a whiteout of \"{}\"", Shown(path),
                hidden);
  whiteouts_[parent].insert(hidden);
  return true;
}

Status LayerTree::ApplyHardLink(InodeIndex parent, const std::string& name, const Entry& entry) {
  ASSIGN_OR_RETURN(const auto components, Split(*entry.hard_link));
  const InodeIndex* found = nullptr;
  if (!components.empty()) {
    ASSIGN_OR_RETURN(const InodeIndex target_parent, ResolveParent(components, *entry.hard_link));
    found = tree_.Find(target_parent, components.back());
  }
  if (found == nullptr || tree_.at(*found).IsDirectory())
    return Fail(ErrorCode::kInvalidArgument,
                "layer entry {}: a hard link to {}, which is no file of this layer so far",
                Shown(entry.path), Shown(*entry.hard_link));
  const InodeIndex target = *found;
  if (const InodeIndex* same = tree_.Find(parent, name); same != nullptr && *same == target)
    return {};
  Replace(parent, name, target);
  return {};
}

Status LayerTree::CheckEntry(Entry& entry) {
  std::erase_if(entry.inode.xattrs, [](const erofs::Xattr& xattr) {
    return erofs::IsOverlayXattr(xattr.name) || erofs::FindXattrPrefix(xattr.name) == nullptr;
  });
  uint64_t bytes = 0;
  for (const auto& xattr : entry.inode.xattrs) {
    if (xattr.name.size() > 255 || xattr.value.size() > erofs::kMaximumXattrValue)
      return Fail(ErrorCode::kResourceExhausted,
                  "layer entry {}: extended attribute {} has {} bytes, at most {}",
                  Shown(entry.path), Shown(xattr.name), xattr.value.size(),
                  erofs::kMaximumXattrValue);
    bytes += xattr.name.size() + xattr.value.size();
  }
  if (bytes > limits_.xattr_bytes_per_file)
    return Fail(ErrorCode::kResourceExhausted,
                "layer entry {}: {} bytes of extended attributes, at most {}", Shown(entry.path),
                bytes, limits_.xattr_bytes_per_file);
  if (entry.inode.target.size() >= PATH_MAX)
    return Fail(ErrorCode::kInvalidArgument, "layer entry {}: a symlink of {} bytes",
                Shown(entry.path), entry.inode.target.size());
  return Count(bytes + entry.path.size() + entry.inode.target.size());
}

FileTree LayerTree::Finish() {
  for (const auto& [directory, names] : whiteouts_) {
    for (const std::string& name : names) {
      if (const InodeIndex* found = tree_.Find(directory, name)) {
        if (tree_.at(*found).IsDirectory()) opaque_.insert(*found);
        continue;
      }
      if (opaque_.contains(directory)) continue;
      Inode whiteout;
      whiteout.mode = S_IFCHR;
      tree_.at(directory).children->emplace(name, tree_.Add(std::move(whiteout)));
      tree_.at(directory).SetXattr(erofs::kOriginXattr, "");
    }
  }
  for (const InodeIndex directory : opaque_) tree_.at(directory).SetXattr(erofs::kOpaqueXattr, "y");
  return std::move(tree_);
}

}  // namespace catamaran
