#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/config/config.h"
#include "cri/images/image_store.h"
#include "cri/network/pod_network.h"
#include "cri/translate/host_facts.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// From what the kubelet asks to what the engine does, with every default resolved. Pure but for
// the seccomp profile that a request names. Whatever cannot be done as asked is kInvalidArgument
// naming the field, its value and what would be right; what this runtime does not offer is
// kUnimplemented naming the field (unsupported_fields.h lists those).

// The unique name of a sandbox, "name_namespace_uid_attempt", and of a container in it. Checks
// that the metadata is complete and that its words can be part of paths and records.
Result<std::string> SandboxName(const runtime::v1::PodSandboxMetadata& metadata);
Result<std::string> ContainerName(const runtime::v1::ContainerMetadata& metadata,
                                  const runtime::v1::PodSandboxMetadata& sandbox);

// A pod's or container's id as a request gives it: 64 lower-case hexadecimal digits are an id,
// other words of [0-9a-zA-Z_.-] can only be unknown (kNotFound where that matters), the rest is
// kInvalidArgument.
Status CheckId(const std::string& field, const std::string& id);

// What the daemon decides for a sandbox before it is translated.
struct SandboxPlace {
  PodId id;
  HostPath state_directory;  // the engine's files, in the run directory
  HostPath data_directory;   // writable layers and disks, in the root directory
  std::string cgroup_root;   // parent where the request names none
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
};

// Everything of a SandboxSpec but the network, which is there only after it was attached.
Result<spec::SandboxSpec> TranslateSandbox(const runtime::v1::PodSandboxConfig& config,
                                           const HandlerConfig& handler, const SandboxPlace& place,
                                           const HostFacts& host);
// The network's share: namespace, interfaces and the pod's line in /etc/hosts.
void ApplyNetwork(const PodNetworkResult& network, spec::SandboxSpec* sandbox);
// What Attach is asked: identity and port mappings (host_port 0 is dropped).
Result<PodNetworkRequest> TranslatePodNetwork(const runtime::v1::PodSandboxConfig& config,
                                              const PodId& id);

struct ContainerInput {
  const ContainerId& id;
  const runtime::v1::ContainerConfig& config;
  const runtime::v1::PodSandboxConfig& sandbox_config;  // the one the sandbox was made with
  const spec::SandboxSpec& sandbox;
  const HandlerConfig& handler;
  const Image& image;
  const HostFacts& host;
};
// Everything of a ContainerSpec but the layers: of rootfs only `readonly` is set. That pid_target
// is a container of the same sandbox is for the caller to check.
Result<spec::ContainerSpec> TranslateContainer(const ContainerInput& input);

// A container's resources, for UpdateContainerResources and as part of TranslateContainer; `field`
// is how errors name them ("linux.resources").
Result<spec::Resources> TranslateResources(const runtime::v1::LinuxContainerResources& resources,
                                           const std::string& field, const HandlerConfig& handler,
                                           const HostFacts& host);
// An update is partial: zero and empty leave what is. Gives what ContainerStatus then reports.
void MergeResources(const runtime::v1::LinuxContainerResources& update,
                    runtime::v1::LinuxContainerResources* resources);

// The operating system's number of a signal and its CRI enum value, which is alphabetical.
Result<int> SignalNumber(runtime::v1::Signal signal);
runtime::v1::Signal CriSignal(int number);
// "SIGTERM", "TERM", "15", "SIGRTMIN+3".
Result<int> SignalNumber(const std::string& name);

// Before a container is created: makes missing mount sources (folders, as other runtimes do) and
// checks that propagation is possible from where they lie. Touches the host's files.
Status PrepareMountSources(const spec::ContainerSpec& container);

}  // namespace catamaran
