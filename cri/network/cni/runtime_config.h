#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cri/network/cni/network_list.h"
#include "cri/network/host_ports.h"
#include "cri/network/pod_network.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What the runtime can tell plugins of a pod, by capability: portMappings, bandwidth, dns,
// ipRanges, cgroupPath, io.kubernetes.cri.pod-annotations (containernetworking/cni,
// CONVENTIONS.md). Absent is what the pod has none of. kInvalidArgument for a bandwidth annotation
// that is no rate. pod_cidr: UpdateRuntimeConfig's; may be empty.
Result<nlohmann::json> CapabilityArguments(const PodNetworkRequest& request,
                                           const std::string& pod_cidr);

// The host ports that such arguments, recorded as JSON text, ask for.
std::vector<HostPort> HostPortsIn(const std::string& arguments);

// The part of them that this plugin declared.
nlohmann::json RuntimeConfigFor(const CniPlugin& plugin, const nlohmann::json& arguments);

}  // namespace catamaran
