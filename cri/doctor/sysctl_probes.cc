#include "cri/doctor/sysctl_probes.h"

#include <algorithm>
#include <charconv>

#include "cri/network/cni/network_list.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Result<uint64_t> ReadNumber(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/sys/" + path, 64));
  uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc())
    return Fail(ErrorCode::kInternal, "/proc/sys/{}: \"{}\"", path, text);
  return number;
}

Result<Finding> TryInotify() {
  ASSIGN_OR_RETURN(const uint64_t instances, ReadNumber("fs/inotify/max_user_instances"));
  ASSIGN_OR_RETURN(const uint64_t watches, ReadNumber("fs/inotify/max_user_watches"));
  const std::string seen = fmt::format("{} instances, {} watches a user", instances, watches);
  if (instances >= kLeastInotifyInstances && watches >= kLeastInotifyWatches) return Works(seen);
  return Fail(ErrorCode::kFailedPrecondition, "{}; {} and {} are due", seen, kLeastInotifyInstances,
              kLeastInotifyWatches);
}

Result<Finding> TrySwitch(const std::string& path) {
  ASSIGN_OR_RETURN(const uint64_t value, ReadNumber(path));
  if (value == 1) return Works("/proc/sys/" + path + " is 1");
  return Fail(ErrorCode::kFailedPrecondition, "/proc/sys/{} is {}", path, value);
}

bool HasBridge(const Config& config) {
  const auto network = LoadCniConfiguration(config.cni_conf_dir).network;
  return network != nullptr &&
         std::any_of(network->plugins.begin(), network->plugins.end(), [](const CniPlugin& plugin) {
           return plugin.type == "bridge" || plugin.type == "flannel";
         });
}

}  // namespace

void ProbeSysctls(const Config& config, const ProbeRunner& run) {
  run({.name = kInotifyLine,
       .failure = FindingStatus::kDegraded,
       .meaning = "programs that watch files fail with \"too many open files\", the sooner the "
                  "more pods there are",
       .remedy = "sysctl -w fs.inotify.max_user_instances=1024 "
                 "fs.inotify.max_user_watches=524288",
       .run = TryInotify});
  if (config.network == Config::Network::kBuiltin) return;
  run({.name = kForwardingLine,
       .failure = FindingStatus::kDegraded,
       .meaning = "pods reach nothing beyond this node, unless the network add-on switches it on",
       .remedy = "sysctl -w net.ipv4.ip_forward=1",
       .run = [] { return TrySwitch("net/ipv4/ip_forward"); }});
  if (!HasBridge(config)) return;
  run({.name = kBridgeFilterLine,
       .failure = FindingStatus::kDegraded,
       .meaning = "a pod does not reach a Service whose pod is on this node too, where kube-proxy "
                  "uses iptables",
       .remedy = "modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 "
                 "net.bridge.bridge-nf-call-ip6tables=1",
       .run = [] { return TrySwitch("net/bridge/bridge-nf-call-iptables"); }});
}

}  // namespace catamaran
