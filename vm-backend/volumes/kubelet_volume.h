#pragma once

#include <optional>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A path as the kubelet lays a pod's volumes out, below whatever its root directory is:
//   .../pods/UID/volumes/kubernetes.io~PLUGIN/NAME
//   .../pods/UID/volume-subpaths/NAME/CONTAINER/INDEX   (a bind mount of a part of a volume)
struct KubeletVolume {
  std::string pod_folder;  // .../pods/UID
  std::string plugin;      // "projected"; empty for a sub-path, whose name says no more
  std::string name;
  bool is_sub_path() const { return plugin.empty(); }
};
// Pure; nothing where the path is no such one.
std::optional<KubeletVolume> ParseKubeletPath(const std::string& path);

// Where the kubelet keeps the emptyDir of this name, if it is one. Pure.
std::string EmptyDirFolder(const KubeletVolume& volume);

// How a mount of the kubelet's is to show in a guest.
//
// Projected volumes (configmap, secret, downward-api, projected) that are mounted read-only and
// whole are MIRRORED, if they are laid out as the kubelet's atomic writer does: names that are
// links into "..data", itself a link to the current folder. An emptyDir of medium Memory, which the
// kubelet mounts as a tmpfs with its limit, and a sub-path of one are MEMORY with that limit. All
// else is SERVED. Looks at the file system, which may hang: for a child. kUnimplemented for an
// emptyDir of huge pages.
Result<spec::GuestVolume> ExamineKubeletVolume(const KubeletVolume& volume,
                                               const spec::Mount& mount);

// Of a sub-path's mount as /proc/self/mountinfo names it: the path below its file system's root. Of
// a text with one line a mount; nothing where the number is not in it. Pure.
std::optional<std::string> RootOfMount(const std::string& mountinfo, uint64_t mount_id);

}  // namespace catamaran
