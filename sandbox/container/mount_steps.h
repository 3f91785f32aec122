#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/container/plan.h"
#include "sandbox/container/rootfs.h"

namespace catamaran {

// Its field and target, for messages.
std::string DescribeMount(const PlannedMount& mount);

// The child's mount work, in the order of the class's methods. All targets are found below the
// root's descriptor by OpenOrCreateInRoot, all mounts are attached by descriptor: what the image
// or a shared volume holds, or is made to hold meanwhile, can lead nowhere else.
class MountSteps {
 public:
  // user_namespace_fd: the sandbox's own, or -1.
  MountSteps(const ContainerPlan& plan, int user_namespace_fd)
      : plan_(plan), user_namespace_fd_(user_namespace_fd) {}

  // Copies every bind's source, while host paths mean what they mean outside and mounts still are
  // in the host's peer groups (LeavePeerGroups comes next). Missing sources are made as folders.
  Status OpenSources();
  // The sandbox's /dev/shm, from its mount namespace.
  Status OpenSharedMemory(int namespace_fd);
  Status MountRoot(RootfsBuilder& builder);
  Status MountAll(RootfsBuilder& builder);
  Status MakePathsReadonly();
  Status MaskPaths();
  // The root becomes "/", read-only where asked.
  Status EnterRoot();

  int root_fd() const { return root_.get(); }
  // The container's own devpts; -1 where the request brought its own /dev.
  int devpts_fd() const { return devpts_.get(); }
  // The machine's null device, opened before anything of the container was.
  int null_fd() const { return null_.get(); }

 private:
  // mount_sources.cc
  Status OpenSource(const PlannedMount& mount, UniqueFd& source);
  UniqueFd TakeSource(size_t number);
  Status MapIds(const PlannedMount& mount, int mount_fd);
  // The user namespace with these maps: the sandbox's, or one that is made for them.
  Result<int> NamespaceFor(const std::optional<IdMaps>& maps);
  Status MountOne(const PlannedMount& mount, UniqueFd source, RootfsBuilder& builder);
  Result<UniqueFd> MakeMount(const PlannedMount& mount, UniqueFd source, RootfsBuilder& builder);
  Result<UniqueFd> OpenTarget(const PlannedMount& mount, int source_fd);
  // path_masks.cc
  Status Mask(int target_fd);
  Status MaskFolder(int target_fd);

  const ContainerPlan& plan_;
  int user_namespace_fd_;
  std::vector<std::pair<IdMaps, UniqueFd>> made_namespaces_;
  std::vector<UniqueFd> sources_;  // by index of plan_.mounts; invalid where there is none
  UniqueFd shared_memory_;
  UniqueFd null_;
  UniqueFd root_;
  UniqueFd devpts_;
  UniqueFd proc_;          // the container's own
  UniqueFd empty_folder_;  // one read-only tmpfs for all masked folders
};

}  // namespace catamaran
