#include "cri/network/builtin/builtin_network.h"

#include <algorithm>
#include <set>

#include "cri/network/builtin/nft_rules.h"
#include "cri/network/builtin/pod_link.h"
#include "cri/network/builtin/pod_rate.h"
#include "cri/network/mapped_netns.h"
#include "cri/network/netns_pin.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

constexpr int kMostAttempts = 8;
constexpr auto kRulesPatience = std::chrono::seconds(30);

// Seven hexadecimal digits of the run folder's name (FNV-1a): daemons that live side by side have
// different ones, and a daemon finds its own things again.
std::string TagOf(const HostPath& run) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : run.value().lexically_normal().string())
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("{:07x}", (hash ^ hash >> 32) & 0xfffffff);
}

// Those that need a rule. Addresses are written anew, so that nothing else gets into the rules.
Status AddHostPorts(const std::vector<PortMapping>& mappings, network::NetworkRecord* record) {
  for (const auto& mapping : mappings) {
    if (mapping.host_port == 0) continue;
    if (mapping.container_port == 0)
      return Fail(ErrorCode::kInvalidArgument,
                  "port_mappings: container_port of host port {} must not be 0", mapping.host_port);
    auto& port = *record->add_host_ports();
    port.set_protocol(ProtocolName(mapping.protocol));
    port.set_host_port(mapping.host_port);
    port.set_container_port(mapping.container_port);
    ASSIGN_OR_RETURN(*port.mutable_host_ip(), HostIp(mapping.host_ip));
  }
  return {};
}

// A port of an address of a family that pods do not have would lead nowhere.
Status CheckFamilies(const network::NetworkRecord& record,
                     const std::vector<AddressRange>& ranges) {
  for (const auto& port : record.host_ports()) {
    const bool v4 = port.host_ip().find(':') == std::string::npos;
    const bool answered = port.host_ip().empty() || std::any_of(ranges.begin(), ranges.end(),
                                                                [v4](const AddressRange& range) {
                                                                  return range.is_v4() == v4;
                                                                });
    if (!answered)
      return Fail(
          ErrorCode::kFailedPrecondition,
          "port_mappings: host_ip \"{}\" of host port {}: pods have no address of IPv{} here",
          port.host_ip(), port.host_port(), v4 ? 4 : 6);
  }
  return {};
}

std::vector<HostPort> HostPortsOf(const network::NetworkRecord& record) {
  std::vector<HostPort> ports;
  for (const auto& port : record.host_ports())
    ports.push_back({port.protocol(), port.host_port(), port.host_ip()});
  return ports;
}

bool IsOurs(const Link& link, const std::string& tag) {
  return (link.name.starts_with("cat" + tag) && link.kind == "veth") ||
         (link.name.starts_with("cab" + tag) && link.kind == "ifb");
}

bool UsesV6(const std::vector<AddressRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [](const AddressRange& range) { return !range.is_v4(); });
}

}  // namespace

Result<std::unique_ptr<BuiltinNetwork>> BuiltinNetwork::Make(const BuiltinNetworkOptions& options) {
  ASSIGN_OR_RETURN(auto ranges, AddressRange::ParsePair(options.cidr_v4, options.cidr_v6));
  ASSIGN_OR_RETURN(auto store, NetworkRecordStore::Open(options.root / "network"));
  ASSIGN_OR_RETURN(auto records, store.Load());
  ASSIGN_OR_RETURN(auto pod_cidr, store.LoadPodCidr());
  if (!pod_cidr.empty()) {
    ASSIGN_OR_RETURN(ranges, AddressRange::ParseList(pod_cidr));
  }
  ASSIGN_OR_RETURN(auto boot_id, ReadBootId());
  const HostPath pins = options.run / "netns";
  RETURN_IF_ERROR(MakeDirectories(pins.value(), 0700));
  std::unique_ptr<BuiltinNetwork> network(
      new BuiltinNetwork(std::move(store), pins, TagOf(options.run), std::move(boot_id)));
  for (auto& record : records) {
    // Nothing collides: it was so when they were written.
    (void)network->host_ports_.Claim(PodId(record.pod_id()), HostPortsOf(record));
    network->records_.emplace(record.pod_id(), std::move(record));
  }
  network->ranges_ = std::move(ranges);
  network->shim_ = options.shim;
  network->pod_cidr_ = std::move(pod_cidr);
  RETURN_IF_ERROR(EnableForwarding(UsesV6(network->ranges_)));
  RETURN_IF_ERROR(network->UpdateRules(Deadline::After(kRulesPatience)));
  return network;
}

BuiltinNetwork::~BuiltinNetwork() {
  if (records_.empty()) (void)RunNft(NftRemoval(tag_), Deadline::After(kRulesPatience));
}

uint32_t BuiltinNetwork::Slots() const {
  uint32_t last = ranges_.front().last_slot();
  for (const auto& range : ranges_) last = std::min(last, range.last_slot());
  return last - AddressRange::kFirstSlot + 1;
}

// Slots are given out in turn, so that an address that was just given back rests for a while.
Result<uint32_t> BuiltinNetwork::NextFreeSlot() const {
  const auto used = [&](uint32_t slot, const std::vector<std::string>& addresses) {
    return std::any_of(records_.begin(), records_.end(), [&](const auto& entry) {
      // By address too: the ranges may have been others when it was given.
      const auto& given = entry.second.interface().addresses();
      return entry.second.slot() == slot ||
             std::find_first_of(given.begin(), given.end(), addresses.begin(), addresses.end()) !=
                 given.end();
    });
  };
  const uint32_t count = Slots();
  const uint32_t offset = last_slot_ + 1 - AddressRange::kFirstSlot;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t slot = AddressRange::kFirstSlot + (offset + i) % count;
    std::vector<std::string> addresses;
    for (const auto& range : ranges_) addresses.push_back(range.SingleRoute(slot));
    if (!used(slot, addresses)) return slot;
  }
  return Fail(ErrorCode::kResourceExhausted, "every address of {} is in use",
              ranges_.front().cidr());
}

// Another daemon on this machine may use the same range: its pods show as routes.
Result<bool> BuiltinNetwork::IsSomebodyElses(const Record& record, Netlink& netlink) const {
  for (const std::string& address : record.interface().addresses()) {
    const auto route = netlink.FindRoute(address.substr(0, address.find('/')));
    if (route && route->destination == address) return true;
    if (!route && route.error().code != ErrorCode::kNotFound) return tl::unexpected(route.error());
  }
  return false;
}

Result<network::NetworkRecord> BuiltinNetwork::Plan(const PodNetworkRequest& request) const {
  Record record;
  record.set_pod_id(request.pod.value());
  record.set_boot_id(boot_id_);
  record.set_netns((pins_ / request.pod.value()).string());
  RETURN_IF_ERROR(AddHostPorts(request.ports, &record));
  ASSIGN_OR_RETURN(const PodBandwidth limits, ReadBandwidth(request.annotations));
  record.set_ingress_rate(limits.ingress);
  record.set_egress_rate(limits.egress);
  return record;
}

// Gives it an address that is nobody's.
Result<network::NetworkRecord> BuiltinNetwork::Reserve(Record record) {
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  const uint32_t mtu = MachineMtu(netlink);
  const PodId pod(record.pod_id());

  std::unique_lock lock(mutex_);
  RETURN_IF_ERROR(CheckFamilies(record, ranges_));
  RETURN_IF_ERROR(host_ports_.Claim(pod, HostPortsOf(record)));
  Cleanup unreserve([&] {  // under the lock
    records_.erase(pod.value());
    host_ports_.Release(pod);
  });
  for (uint32_t tries = 0; tries < Slots(); ++tries) {
    ASSIGN_OR_RETURN(const uint32_t slot, NextFreeSlot());
    last_slot_ = slot;
    record.set_slot(slot);
    record.set_host_link(LinkOf(slot));
    record.set_sent_link(record.egress_rate() == 0 ? "" : SentLinkOf(slot));
    *record.mutable_interface() = PlanPodInterface(ranges_, slot, mtu);
    records_[record.pod_id()] = record;
    // The kernel may let this question wait while links come and go.
    lock.unlock();
    const auto taken = IsSomebodyElses(record, netlink);
    lock.lock();
    if (!taken) return tl::unexpected(taken.error());
    if (*taken) continue;
    unreserve.Dismiss();
    return record;
  }
  return Fail(ErrorCode::kResourceExhausted, "every address of {} is in use",
              ranges_.front().cidr());
}

Status BuiltinNetwork::UpdateRules(Deadline deadline) {
  const std::lock_guard rules_lock(rules_mutex_);
  std::vector<Record> now;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [pod, record] : records_)
      if (record.boot_id() == boot_id_) now.push_back(record);
  }
  return RunNft(NftRules(tag_, now), deadline);
}

Status BuiltinNetwork::Connect(const Record& record, const PodNetworkRequest& request,
                               Deadline deadline) {
  RETURN_IF_ERROR(store_.Save(record));
  ASSIGN_OR_RETURN(
      const auto netns,
      PinPodNetworkNamespace(HostPath(record.netns()), request.user_namespace, shim_, deadline));
  RETURN_IF_ERROR(
      ConnectPod(record.host_link(), record.interface(), netns.get(),
                 record.host_ports().empty() ? LoopbackRouting::kOff : LoopbackRouting::kOn));
  if (const PodBandwidth limits{record.ingress_rate(), record.egress_rate()}; limits.limited())
    RETURN_IF_ERROR(
        LimitPod(record.host_link(), record.sent_link(), limits, record.interface().mtu()));
  if (!record.host_ports().empty()) RETURN_IF_ERROR(UpdateRules(deadline));
  return {};
}

Result<PodNetworkResult> BuiltinNetwork::Attach(const PodNetworkRequest& request,
                                                Deadline deadline) {
  ASSIGN_OR_RETURN(const Record planned, Plan(request));
  ASSIGN_OR_RETURN(const auto claim, claims_.Take(request.pod, deadline));
  {
    const std::lock_guard lock(mutex_);
    if (records_.contains(request.pod.value()))
      return Fail(ErrorCode::kAlreadyExists, "pod {} has a network already", request.pod.value());
  }
  for (int attempt = 1;; ++attempt) {
    ASSIGN_OR_RETURN(const Record record, Reserve(planned));
    auto connected = Connect(record, request, deadline);
    if (connected) {
      PodNetworkResult result;
      result.netns = HostPath(record.netns());
      result.interfaces = {record.interface()};
      return result;
    }
    // Where this fails too, the record stays and a later Detach carries on.
    const auto undone = TearDown(record, Deadline::After(kRulesPatience));
    // Somebody took the address between our look at the routes and now: the next one, then.
    const bool again = connected.error().code == ErrorCode::kAlreadyExists && undone;
    if (!again || attempt == kMostAttempts)
      return tl::unexpected(
          std::move(connected).error().While("attach pod " + request.pod.value()));
  }
}

Status BuiltinNetwork::TearDown(const Record& record, Deadline deadline) {
  if (!record.host_ports().empty()) {
    {
      const std::lock_guard lock(mutex_);
      records_[record.pod_id()].clear_host_ports();
      host_ports_.Release(PodId(record.pod_id()));
    }
    RETURN_IF_ERROR(UpdateRules(deadline));
  }
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  RETURN_IF_ERROR(netlink.DeleteLink(record.host_link()));
  if (!record.sent_link().empty()) RETURN_IF_ERROR(netlink.DeleteLink(record.sent_link()));
  RETURN_IF_ERROR(UnpinNetworkNamespace(HostPath(record.netns())));
  RETURN_IF_ERROR(store_.Remove(record.pod_id()));
  const std::lock_guard lock(mutex_);
  records_.erase(record.pod_id());
  return {};
}

Status BuiltinNetwork::Detach(const PodId& pod, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto claim, claims_.Take(pod, deadline));
  Record record;
  {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(pod.value());
    if (found == records_.end()) return {};
    record = found->second;
  }
  auto done = TearDown(record, deadline);
  if (!done) return tl::unexpected(std::move(done).error().While("detach pod " + pod.value()));
  return {};
}

Status BuiltinNetwork::DetachExcept(const std::vector<PodId>& pods, Deadline deadline) {
  std::vector<PodId> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [pod, record] : records_)
      if (std::find(pods.begin(), pods.end(), PodId(pod)) == pods.end()) gone.emplace_back(pod);
  }
  Status detached;
  for (const auto& pod : gone)
    if (auto done = Detach(pod, deadline); !done && detached) detached = std::move(done);
  auto swept = Sweep();
  return detached ? swept : detached;
}

// Whatever a crash left that no record names. Under the lock, so that nothing of a pod that is
// being attached is mistaken for that: its record is there first.
Status BuiltinNetwork::Sweep() {
  const std::lock_guard lock(mutex_);
  std::set<std::string> links;
  for (const auto& [pod, record] : records_) {
    links.insert(record.host_link());
    links.insert(record.sent_link());
  }
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const auto all, netlink.ListLinks());
  for (const auto& link : all)
    if (IsOurs(link, tag_) && !links.contains(link.name))
      RETURN_IF_ERROR(netlink.DeleteLink(link.name));
  ASSIGN_OR_RETURN(const auto pins, ListDirectory(pins_.value()));
  for (const auto& pin : pins)
    if (!records_.contains(pin)) RETURN_IF_ERROR(UnpinNetworkNamespace(pins_ / pin));
  return {};
}

Status BuiltinNetwork::SetPodCidr(const std::string& cidr) {
  if (cidr.empty()) return {};
  ASSIGN_OR_RETURN(auto ranges, AddressRange::ParseList(cidr));
  RETURN_IF_ERROR(EnableForwarding(UsesV6(ranges)));
  const std::lock_guard lock(mutex_);
  if (cidr == pod_cidr_) return {};
  RETURN_IF_ERROR(store_.SavePodCidr(cidr));
  pod_cidr_ = cidr;
  ranges_ = std::move(ranges);
  last_slot_ = AddressRange::kFirstSlot - 1;
  return {};
}

Result<std::unique_ptr<PodNetwork>> MakeBuiltinNetwork(const BuiltinNetworkOptions& options) {
  auto made = BuiltinNetwork::Make(options);
  if (!made) return tl::unexpected(std::move(made).error().While("built-in network"));
  return std::unique_ptr<PodNetwork>(std::move(*made));
}

}  // namespace catamaran
