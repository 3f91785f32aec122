#pragma once

#include "cri/nri/methods.h"
#include "cri/pods/pod.h"

namespace catamaran {

// What NRI plugins are shown of records.

nri::PodSandbox NriPod(const record::PodRecord& record);
nri::Container NriContainer(const record::ContainerRecord& record);

// What the record keeps of a container's configuration for that (ContainerRecord.nri_container).
std::string NriConfiguration(const record::ContainerRecord& record,
                             const spec::ContainerSpec& container,
                             const spec::SandboxSpec& sandbox);

}  // namespace catamaran
