#include "cri/doctor/network_probes.h"

#include <fcntl.h>
#include <sched.h>

#include <fmt/ranges.h>

#include <thread>

#include "cri/doctor/cni_probes.h"
#include "cri/network/builtin/address_range.h"
#include "cri/network/builtin/nft_rules.h"
#include "cri/network/builtin/pod_link.h"
#include "cri/network/builtin/pod_rate.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

constexpr char kTag[] = "d0c70";
constexpr char kHostLink[] = "catd0c7000001", kSentLink[] = "cabd0c7000001";
constexpr uint32_t kSlot = AddressRange::kFirstSlot;
constexpr uint32_t kMtu = 1500;

// The calling thread's.
Status EnterNewNamespace() {
  if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("make a network namespace");
  return {};
}

Result<UniqueFd> MakeNamespace() {
  Result<UniqueFd> made = Fail(ErrorCode::kInternal, "not made");
  std::thread([&made] {
    auto entered = EnterNewNamespace();
    if (entered) {
      made = OpenFile("/proc/thread-self/ns/net", O_RDONLY);
    } else {
      made = tl::unexpected(std::move(entered).error());
    }
  }).join();
  return made;
}

// The rules of a daemon with one pod that has a host port.
Result<Finding> TryRules(const std::vector<AddressRange>& ranges,
                         std::chrono::milliseconds patience) {
  RETURN_IF_ERROR(EnterNewNamespace());
  network::NetworkRecord record;
  *record.mutable_interface() = PlanPodInterface(ranges, kSlot, kMtu);
  network::HostPort* port = record.add_host_ports();
  port->set_protocol("tcp");
  port->set_host_port(8080);
  port->set_container_port(80);
  RETURN_IF_ERROR(RunNft(NftRules(kTag, {record}), Deadline::After(patience)));
  return Works("masquerading and a host port load, in a network namespace of their own");
}

Result<Finding> TryLink(const std::vector<AddressRange>& ranges) {
  ASSIGN_OR_RETURN(const UniqueFd pod, MakeNamespace());
  RETURN_IF_ERROR(EnterNewNamespace());
  bool v6 = false;
  for (const auto& range : ranges) v6 = v6 || !range.is_v4();
  RETURN_IF_ERROR(EnableForwarding(v6));
  ASSIGN_OR_RETURN(Netlink machine, Netlink::Open());
  RETURN_IF_ERROR(BringUpLoopback(machine));
  RETURN_IF_ERROR(ConnectPod(kHostLink, PlanPodInterface(ranges, kSlot, kMtu), pod.get(),
                             LoopbackRouting::kOn));
  return Works("a veth pair with addresses and routes, and forwarding switched on, likewise");
}

// A pod with both bandwidth annotations.
Result<Finding> TryRates() {
  RETURN_IF_ERROR(EnterNewNamespace());
  ASSIGN_OR_RETURN(Netlink machine, Netlink::Open());
  RETURN_IF_ERROR(machine.AddVethPair({.name = kHostLink, .peer_name = "eth0"}));
  RETURN_IF_ERROR(LimitPod(kHostLink, kSentLink, {1'000'000, 1'000'000}, kMtu));
  return Works("a pod's link keeps to a rate both ways, likewise");
}

std::string AddressOf(const std::string& destination) {
  return destination.substr(0, destination.find('/'));
}

bool Overlap(const AddressRange& range, const std::string& destination) {
  if (range.Contains(AddressOf(destination))) return true;
  const auto other = AddressRange::Parse(destination);
  return other && other->Contains(range.gateway());
}

// Whether the host already knows another way to the addresses that pods get.
Result<Finding> TryRanges(const std::vector<AddressRange>& ranges) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const auto routes, netlink.ListRoutes());
  std::vector<std::string> names, others;
  for (const auto& range : ranges) {
    names.push_back(range.cidr());
    for (const auto& route : routes) {
      // Default routes; and those to a daemon's pods.
      if (route.destination.ends_with("/0") || route.link.starts_with("cat")) continue;
      if (Overlap(range, route.destination))
        others.push_back(fmt::format("{} by {}", route.destination, route.link));
    }
  }
  if (others.empty())
    return Works(fmt::format("{}: no route of this host", fmt::join(names, ", ")));
  return Fail(ErrorCode::kFailedPrecondition, "{}: this host has a route to {}",
              fmt::join(names, ", "), fmt::join(others, ", "));
}

void ProbeBuiltinNetwork(const Config& config, std::chrono::milliseconds patience,
                         const ProbeRunner& run) {
  const auto ranges = AddressRange::ParsePair(config.builtin_cidr_v4, config.builtin_cidr_v6);
  const std::string remedy =
      "another range as builtin_network.cidr_v4 or cidr_v6 in the configuration";
  if (!ranges) {
    run({.name = "pod addresses",
         .meaning = "the daemon does not start",
         .remedy = remedy,
         .run = [error = ranges.error()] { return Result<Finding>(tl::unexpected(error)); }});
    return;
  }
  run({.name = "nftables",
       .meaning = "the daemon does not start with network: builtin",
       .remedy = "apt-get install nftables; modprobe nf_tables nft_masq nft_nat nft_fib_inet",
       .run = [ranges = *ranges, patience] { return TryRules(ranges, patience); }});
  run({.name = "pod link",
       .meaning = "pods without the host's network do not start",
       .remedy = "modprobe veth; mount /proc/sys read-write for the daemon",
       .run = [ranges = *ranges] { return TryLink(ranges); }});
  run({.name = "pod bandwidth",
       .failure = FindingStatus::kDegraded,
       .meaning = "pods with a kubernetes.io/ingress-bandwidth or egress-bandwidth do not start",
       .remedy = "modprobe sch_tbf sch_ingress cls_u32 act_mirred ifb",
       .run = [] { return TryRates(); }});
  run({.name = "pod addresses",
       .failure = FindingStatus::kDegraded,
       .meaning = "what has such an address outside is not reached any more, or pods are not",
       .remedy = remedy,
       .run = [ranges = *ranges] { return TryRanges(ranges); }});
}

}  // namespace

void ProbeNetwork(const Config& config, std::chrono::milliseconds patience,
                  const ProbeRunner& run) {
  // What hangs is killed before the probe is given up.
  const auto of_programs = patience * 4 / 5;
  if (config.network == Config::Network::kBuiltin) {
    ProbeBuiltinNetwork(config, of_programs, run);
  } else {
    ProbeCniNetwork(config, of_programs, run);
  }
}

}  // namespace catamaran
