#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/container/devices.h"
#include "sandbox/kernel/user_namespace.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What is going to be done to start one container, decided before anything happens: a pure function
// of the specs and of a few facts about the machine, so that tests compare plans and the child that
// carries one out makes no decisions. Immutable once made.

enum class MountKind {
  kFilesystem,    // a new instance of `type`
  kBind,          // what `source` names on the host
  kSharedMemory,  // the sandbox's /dev/shm
  kImage,         // layers, read-only
};

struct PlannedMount {
  MountKind kind = MountKind::kFilesystem;
  std::string target;  // absolute and normal, in the container
  std::string type;
  std::vector<std::pair<std::string, std::string>> parameters;  // an empty value is a flag
  std::string source;
  std::string label;                  // SELinux: given to all of the source first, or to the root
                                      // of a file system; empty: none
  bool recursive = false;             // the bind takes the mounts below its source along
  uint64_t attributes = 0;            // MOUNT_ATTR_*
  bool recursive_attributes = false;  // also on the mounts below
  spec::MountPropagation propagation = spec::PRIVATE;
  spec::ImageMount image;
  std::optional<IdMaps> id_maps;  // of binds and images: what ids of the source show as
  std::string field;              // "mounts[2]", for messages; empty for our own
};

struct PlannedLink {
  std::string path;  // below /dev
  std::string target;
};

// How the machine shows its cgroups.
struct CgroupView {
  bool unified = true;
  std::vector<std::string> mounts;  // of v1 hierarchies, below /sys/fs/cgroup
};

// Which namespaces of whose.
struct NamespacePlan {
  bool new_pid = false;     // its own pid namespace
  bool new_cgroup = false;  // its own cgroup namespace
  bool pod_network = false;
  bool pod_ipc = false;
  bool pod_uts = false;
  bool pod_pid = false;          // joins that of the sandbox's init
  std::string pid_of_container;  // joins that of this container
};

struct ContainerPlan {
  NamespacePlan namespaces;
  // The sandbox's own, where it has one; what of it the machine's ids of the container's root are.
  std::optional<spec::UserNamespace> user_namespace;
  std::optional<IdMaps> id_maps;
  uid_t root_uid = 0;
  gid_t root_gid = 0;
  spec::RootfsSpec rootfs;
  std::vector<PlannedMount> mounts;  // in the order in which they are made
  bool makes_devices = true;         // /dev is ours: nodes and links are made
  std::vector<PlannedDevice> devices;
  std::vector<PlannedLink> links;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  spec::ProcessSpec process;
};

struct PlanInput {
  const spec::SandboxSpec& sandbox;
  const spec::ContainerSpec& container;
  CgroupView cgroups;
  std::string cgroup_path;             // of the container
  std::vector<PlannedDevice> devices;  // those the spec asks for, looked up
};

// kInvalidArgument and kUnimplemented name the field.
Result<ContainerPlan> PlanContainer(const PlanInput& input);

// The checks of a SandboxSpec that need no kernel.
Status ValidateSandbox(const spec::SandboxSpec& sandbox);

}  // namespace catamaran
