#pragma once

#include "cri/nri/nri_plugins.h"
#include "cri/pods/pods.h"
#include "cri/translate/translate.h"

namespace catamaran {

// What NRI plugins want changed in containers other than the one they are asked about.

// Updates resources, one container after the other; returns those that failed and may not. The
// caller has no container's Turn.
std::vector<nri::ContainerUpdate> UpdateForPlugins(Pods& pods,
                                                   const std::vector<nri::ContainerUpdate>& updates,
                                                   const CallContext& call);

// Stops containers in the background: they get their stop signal, and SIGKILL ten seconds later.
void EvictForPlugins(Pods& pods, const std::vector<nri::ContainerEviction>& evictions);

// Both, for what came with an answer that something waits for: an error where an update failed.
Status CarryOutForPlugins(Pods& pods, const std::vector<nri::ContainerUpdate>& updates,
                          const std::vector<nri::ContainerEviction>& evictions,
                          const CallContext& call);

// Asks for the adjustments of a container that is being created, its record being in the table,
// and makes them part of `container` and `record`. What plugins want changed in others is done
// first: it may be what makes room for this one.
Status AdjustForPlugins(Pods& pods, const PodTable::Member& member, const ContainerInput& input,
                        const CallContext& call, record::ContainerRecord* record,
                        spec::ContainerSpec* container);

// Gives a container's processes, where it has any, these limits, and enters them in its record.
// Zero and empty leave what is. The caller has its Turn.
Status UpdateResourcesOf(Pods& pods, const PodTable::Member& member,
                         const runtime::v1::LinuxContainerResources& wanted, int64_t pids_limit,
                         const CallContext& call);

}  // namespace catamaran
