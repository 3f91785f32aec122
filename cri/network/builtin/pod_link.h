#pragma once

#include <string>
#include <vector>

#include "cri/network/builtin/address_range.h"
#include "sandbox/base/result.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A pod's card, as it will be, for a slot of these ranges.
spec::NetworkInterface PlanPodInterface(const std::vector<AddressRange>& ranges, uint32_t slot,
                                        uint32_t mtu);

enum class LoopbackRouting { kOff, kOn };

// Makes the veth pair between the caller's namespace (`host_link`) and the pod's, and routes the
// pod's addresses to it. The gateways' addresses are on the machine's end, so that a guest that
// knows no neighbours finds them by ARP; both ends know each other's MAC, so that pods on this
// kernel need not ask. kAlreadyExists where the name or a route to one of the addresses exists: the
// address is somebody else's. What it made goes with the link: DeleteLink undoes all of it.
Status ConnectPod(const std::string& host_link, const spec::NetworkInterface& interface,
                  int pod_namespace_fd, LoopbackRouting loopback_routing);

// MTU of the link by which packets leave for the world; 1500 where there is none.
uint32_t MachineMtu(Netlink& netlink);

// Lets the machine forward packets (net.ipv4.ip_forward, and net.ipv6.conf.all.forwarding where
// IPv6 is used). Written only where it is off; never taken back, as others may rely on it by then.
Status EnableForwarding(bool v6);

}  // namespace catamaran
