#pragma once

#include <string>

#include "cri/api/runtime.pb.h"
#include "cri/nri/methods.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// How plugins are shown what is. All pure; texts that are no UTF-8 are shown with '?' in them,
// since a plugin in Go cannot read them otherwise.

// Of a container: program, mounts, devices, limits and confinement. Who it is and how it fares is
// for the caller to add.
nri::Container DescribeContainer(const spec::ContainerSpec& container,
                                 const spec::SandboxSpec& sandbox);
// The same as what plugins have asked for will make it.
nri::Container DescribeAdjusted(const nri::Container& container,
                                const nri::ContainerAdjustment& adjustment);

// Of a pod: its groups, namespaces and resources.
nri::LinuxPodSandbox DescribePod(const spec::SandboxSpec& sandbox,
                                 const runtime::v1::PodSandboxConfig& config);

nri::LinuxResources DescribeResources(const runtime::v1::LinuxContainerResources& resources);

}  // namespace catamaran
