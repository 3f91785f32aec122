#pragma once

#include <map>
#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/images/image_store.h"
#include "cri/pods/handler.h"
#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// From the CRI's words to the engine's, with every default resolved and every field validated
// (kInvalidArgument naming field, value and what would be right; kFailedPrecondition or
// kUnimplemented for what a handler refuses). Pure but for files it must read (host's resolv.conf,
// localhost seccomp profiles). Thread-safe.
class Translator {
 public:
  virtual ~Translator() = default;

  // All but pod_id, network_namespace, interfaces, cgroup_path, state_directory, data_directory
  // and machine, which the caller knows.
  virtual Result<spec::SandboxSpec> Sandbox(const ::runtime::v1::PodSandboxConfig& config,
                                            const Handler& handler) const = 0;

  struct ContainerInputs {
    const ::runtime::v1::ContainerConfig& config;
    const ::runtime::v1::PodSandboxConfig& sandbox;
    const Handler& handler;
    const Image& image;
    // Layers of the images that `config.mounts` name, by container_path.
    const std::map<std::string, spec::RootfsSpec>& image_mounts;
  };
  // All but container_id, format_version and rootfs (whose `readonly` it does set). log_path is
  // absolute, stop_signal the effective one.
  virtual Result<spec::ContainerSpec> Container(const ContainerInputs& inputs) const = 0;

  // Partial, as UpdateContainerResources is: what is zero or empty stays so.
  virtual Result<spec::Resources> Resources(
      const ::runtime::v1::LinuxContainerResources& resources) const = 0;
};

}  // namespace catamaran
