#include "cri/network/cni/cni_network.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include <algorithm>

#include "cri/base/parallel.h"
#include "cri/base/text.h"
#include "cri/network/cni/cni_result.h"
#include "cri/network/cni/json_text.h"
#include "cri/network/cni/plugin_chain.h"
#include "cri/network/cni/plugin_guard.h"
#include "cri/network/cni/pod_interface.h"
#include "cri/network/cni/runtime_config.h"
#include "cri/network/mapped_netns.h"
#include "cri/network/netns_pin.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr char kInterface[] = "eth0";
// A hanging plugin shall not hold its caller for ever; DELs are repeated by whoever wants the pod
// gone.
constexpr seconds kAddPatience{120};
constexpr seconds kDeletePatience{60};
constexpr seconds kUndoPatience{20};
constexpr size_t kMostAtOnce = 8;

// "K=V;K=V" has no quoting (CNI SPEC.md, CNI_ARGS).
Status AddArgument(const std::string& key, const std::string& value, std::string* out) {
  if (HasControlCharacters(value) || value.find_first_of(";=") != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "{} \"{}\": must have no ';' and no '=' for plugins",
                key, value);
  *out += ";" + key + "=" + value;
  return {};
}

Result<std::string> CniArguments(const PodNetworkRequest& request) {
  std::string text = "IgnoreUnknown=1";
  RETURN_IF_ERROR(AddArgument("K8S_POD_NAMESPACE", request.pod_namespace, &text));
  RETURN_IF_ERROR(AddArgument("K8S_POD_NAME", request.pod_name, &text));
  RETURN_IF_ERROR(AddArgument("K8S_POD_INFRA_CONTAINER_ID", request.pod.value(), &text));
  RETURN_IF_ERROR(AddArgument("K8S_POD_UID", request.pod_uid, &text));
  return text;
}

bool IsNetworkNamespace(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && info.f_type == NSFS_MAGIC;
}

}  // namespace

CniNetwork::CniNetwork(const CniNetworkOptions& options, AttachmentStore store, std::string boot_id)
    : store_(std::move(store)),
      pins_(options.run / "netns"),
      guards_(options.run / "cni"),
      runner_(options.bin_dirs),
      boot_id_(std::move(boot_id)),
      shim_(options.shim),
      notice_(options.notice),
      retry_interval_(options.retry_interval) {}

Result<std::unique_ptr<CniNetwork>> CniNetwork::Make(const CniNetworkOptions& options) {
  ASSIGN_OR_RETURN(auto store, AttachmentStore::Open(options.root / "network/cni"));
  ASSIGN_OR_RETURN(auto attachments, store.Load());
  ASSIGN_OR_RETURN(auto pod_cidr, store.LoadPodCidr());
  ASSIGN_OR_RETURN(auto boot_id, ReadBootId());
  std::unique_ptr<CniNetwork> network(
      new CniNetwork(options, std::move(store), std::move(boot_id)));
  RETURN_IF_ERROR(MakeDirectories(network->pins_.value(), 0700));
  RETURN_IF_ERROR(MakeDirectories(network->guards_.value(), 0700));
  for (auto& attachment : attachments) {
    (void)network->host_ports_.Claim(PodId(attachment.pod_id()),
                                     HostPortsIn(attachment.capabilities()));
    network->attachments_.emplace(attachment.pod_id(), std::move(attachment));
  }
  network->pod_cidr_ = std::move(pod_cidr);
  ASSIGN_OR_RETURN(network->watch_,
                   ConfigurationWatch::Start({.folder = options.conf_dir,
                                              .status_interval = options.status_interval,
                                              .changed =
                                                  [made = network.get()] {
                                                    const std::lock_guard lock(made->mutex_);
                                                    made->changed_ = made->garbage_ = true;
                                                    made->chores_wake_.notify_all();
                                                  }},
                                             network->runner_));
  network->chores_ = std::thread([made = network.get()] { made->RunChores(); });
  return network;
}

CniNetwork::~CniNetwork() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  chores_wake_.notify_all();
  if (chores_.joinable()) chores_.join();
  watch_.reset();  // it calls back
}

Result<CniNetwork::Attachment> CniNetwork::Plan(const CniNetworkList& network,
                                                const PodNetworkRequest& request) const {
  std::string pod_cidr;
  {
    const std::lock_guard lock(mutex_);
    pod_cidr = pod_cidr_;
  }
  ASSIGN_OR_RETURN(const auto capabilities, CapabilityArguments(request, pod_cidr));
  ASSIGN_OR_RETURN(const auto arguments, CniArguments(request));
  Attachment attachment;
  attachment.set_pod_id(request.pod.value());
  attachment.set_boot_id(boot_id_);
  attachment.set_netns((pins_ / request.pod.value()).string());
  attachment.set_interface(kInterface);
  attachment.set_arguments(arguments);
  attachment.set_network(network.name);
  attachment.set_source(network.source);
  attachment.set_configuration(network.Text());
  attachment.set_capabilities(JsonText(capabilities));
  return attachment;
}

Status CniNetwork::Keep(const Attachment& attachment) {
  RETURN_IF_ERROR(store_.Save(attachment));
  const std::lock_guard lock(mutex_);
  attachments_[attachment.pod_id()] = attachment;
  return {};
}

Status CniNetwork::ClaimHostPorts(const PodId& pod, const std::vector<HostPort>& ports) {
  const std::lock_guard lock(mutex_);
  return host_ports_.Claim(pod, ports);
}

void CniNetwork::ReleaseHostPorts(const PodId& pod) {
  const std::lock_guard lock(mutex_);
  host_ports_.Release(pod);
}

Result<std::shared_lock<std::shared_timed_mutex>> CniNetwork::KeepGarbageCollectorOut(
    Deadline deadline) {
  std::shared_lock lock(garbage_mutex_, deadline.Earlier(Deadline::After(kAddPatience)).at());
  if (!lock.owns_lock())
    return Fail(ErrorCode::kDeadlineExceeded, "plugins are still collecting garbage");
  return lock;
}

Result<PodNetworkResult> CniNetwork::Connect(const CniNetworkList& network, Attachment attachment,
                                             const std::optional<spec::UserNamespace>& users,
                                             Deadline deadline) {
  RETURN_IF_ERROR(Keep(attachment));
  ASSIGN_OR_RETURN(const auto netns,
                   PinPodNetworkNamespace(HostPath(attachment.netns()), users, shim_, deadline));
  ASSIGN_OR_RETURN(const auto guard, PluginGuard::Begin(guards_ / attachment.pod_id()));
  ASSIGN_OR_RETURN(const auto result,
                   PluginChain(runner_, network).Add(attachment, guard.fd(), deadline));
  attachment.set_result(JsonText(result));
  RETURN_IF_ERROR(Keep(attachment));
  const std::string source = "result of network " + network.name;
  ASSIGN_OR_RETURN(const auto parsed, ParseCniResult(result, source));
  ASSIGN_OR_RETURN(auto interface, DescribePodInterface(netns.get(), kInterface,
                                                        parsed.PodAddresses(kInterface), source));
  PodNetworkResult attached;
  attached.netns = HostPath(attachment.netns());
  attached.interfaces = {std::move(interface)};
  return attached;
}

// The newest of it: with its result where ADD succeeded.
CniNetwork::Attachment CniNetwork::FindAttachment(const PodId& pod) const {
  const std::lock_guard lock(mutex_);
  const auto found = attachments_.find(pod.value());
  return found == attachments_.end() ? Attachment() : found->second;
}

Result<PodNetworkResult> CniNetwork::Attach(const PodNetworkRequest& request, Deadline deadline) {
  const auto network = watch_->network();
  if (network == nullptr) {
    const auto readiness = ready();
    return Fail(ErrorCode::kUnavailable, "{}: {}", readiness.reason, readiness.message);
  }
  ASSIGN_OR_RETURN(const Attachment attachment, Plan(*network, request));
  ASSIGN_OR_RETURN(const auto claim, claims_.Take(request.pod, deadline));
  if (!FindAttachment(request.pod).pod_id().empty())
    return Fail(ErrorCode::kAlreadyExists, "pod {} has a network already", request.pod.value());
  ASSIGN_OR_RETURN(const auto ports, HostPortsOf(request.ports));
  RETURN_IF_ERROR(ClaimHostPorts(request.pod, ports));
  Cleanup release([&] { ReleaseHostPorts(request.pod); });
  ASSIGN_OR_RETURN(const auto no_garbage, KeepGarbageCollectorOut(deadline));
  release.Dismiss();  // from here TearDown does it
  auto connected = Connect(*network, attachment, request.user_namespace,
                           deadline.Earlier(Deadline::After(kAddPatience)));
  if (connected) return connected;
  // Where this fails too, the record stays and a later Detach carries on.
  const Attachment made = FindAttachment(request.pod);
  if (auto undone =
          TearDown(made.pod_id().empty() ? attachment : made, Deadline::After(kUndoPatience));
      !undone)
    Notice({.pod = request.pod.value()}, "give back what it got: " + undone.error().message);
  return tl::unexpected(
      std::move(connected).error().While(fmt::format("network {}", network->name)));
}

// As it was at ADD; where that cannot be read, as it is now.
Result<CniNetworkList> CniNetwork::NetworkOf(const Attachment& attachment) const {
  if (!attachment.configuration().empty()) {
    auto recorded = ParseNetworkList(attachment.configuration(), attachment.source());
    if (recorded) return recorded;
  }
  if (const auto current = watch_->network()) return *current;
  return Fail(ErrorCode::kUnavailable,
              "its record is damaged and there is no CNI configuration to give it back by");
}

Status CniNetwork::TearDown(Attachment attachment, Deadline deadline) {
  const HostPath pin = pins_ / attachment.pod_id(), guard_file = guards_ / attachment.pod_id();
  RETURN_IF_ERROR(EndStrayPlugins(guard_file, deadline));
  ASSIGN_OR_RETURN(const auto network, NetworkOf(attachment));
  if (attachment.interface().empty()) attachment.set_interface(kInterface);
  // The namespace may be gone, with a boot for instance: DEL then goes without (SPEC.md, DEL).
  attachment.set_netns(IsNetworkNamespace(pin.string()) ? pin.string() : "");
  {
    ASSIGN_OR_RETURN(const auto guard, PluginGuard::Begin(guard_file));
    RETURN_IF_ERROR(PluginChain(runner_, network).Delete(attachment, guard.fd(), deadline));
  }
  RETURN_IF_ERROR(UnpinNetworkNamespace(pin));
  RETURN_IF_ERROR(store_.Remove(attachment.pod_id()));
  const std::lock_guard lock(mutex_);
  attachments_.erase(attachment.pod_id());
  leftovers_.erase(attachment.pod_id());
  host_ports_.Release(PodId(attachment.pod_id()));
  return {};
}

Status CniNetwork::Detach(const PodId& pod, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto claim, claims_.Take(pod, deadline));
  const Attachment attachment = FindAttachment(pod);
  if (attachment.pod_id().empty()) return UnpinNetworkNamespace(pins_ / pod.value());
  ASSIGN_OR_RETURN(const auto no_garbage, KeepGarbageCollectorOut(deadline));
  auto done = TearDown(attachment, deadline.Earlier(Deadline::After(kDeletePatience)));
  if (!done) return tl::unexpected(std::move(done).error().While("detach pod " + pod.value()));
  return {};
}

// A few at once, so that one plugin that hangs holds up one pod.
Status CniNetwork::DetachAll(const std::vector<PodId>& pods, Deadline deadline) {
  std::mutex mutex;
  Status first;
  ForEachInParallel(pods, kMostAtOnce, [&](const PodId& pod) {
    auto done = Detach(pod, deadline);
    const std::lock_guard lock(mutex);
    if (!done && first) first = std::move(done);
  });
  return first;
}

Status CniNetwork::DetachExcept(const std::vector<PodId>& pods, Deadline deadline) {
  std::vector<PodId> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [pod, attachment] : attachments_)
      if (std::find(pods.begin(), pods.end(), PodId(pod)) == pods.end()) {
        gone.emplace_back(pod);
        leftovers_.insert(pod);
      } else {
        unchecked_.emplace_back(pod);
      }
  }
  auto detached = DetachAll(gone, deadline);
  auto swept = SweepPins();
  {
    const std::lock_guard lock(mutex_);
    recovered_ = true;
    garbage_ = true;
  }
  chores_wake_.notify_all();
  return detached ? swept : detached;
}

// Pins that no record names, of daemons that were killed. Under the lock: the record of a pod that
// is being attached is there first.
Status CniNetwork::SweepPins() {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto pins, ListDirectory(pins_.value()));
  for (const auto& pin : pins)
    if (!attachments_.contains(pin)) RETURN_IF_ERROR(UnpinNetworkNamespace(pins_ / pin));
  return {};
}

Status CniNetwork::SetPodCidr(const std::string& cidr) {
  if (cidr.empty()) return {};
  for (size_t begin = 0; begin <= cidr.size();) {
    const size_t end = std::min(cidr.find(',', begin), cidr.size());
    const std::string one = cidr.substr(begin, end - begin);
    if (one.find('/') == std::string::npos || !ParsePrefix(one))
      return Fail(ErrorCode::kInvalidArgument, "\"{}\": must be a range like 10.1.0.0/24", one);
    begin = end + 1;
  }
  const std::lock_guard lock(mutex_);
  if (cidr == pod_cidr_) return {};
  RETURN_IF_ERROR(store_.SavePodCidr(cidr));
  pod_cidr_ = cidr;
  return {};
}

Result<std::unique_ptr<PodNetwork>> MakeCniNetwork(const CniNetworkOptions& options) {
  auto made = CniNetwork::Make(options);
  if (!made) return tl::unexpected(std::move(made).error().While("CNI network"));
  return std::unique_ptr<PodNetwork>(std::move(*made));
}

}  // namespace catamaran
