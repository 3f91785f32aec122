#include "cri/doctor/fix_plan.h"

#include <algorithm>
#include <initializer_list>

#include "cri/doctor/sysctl_probes.h"

namespace catamaran {
namespace {

using Changes = std::vector<HostChange>;

Changes Modules(std::initializer_list<const char*> names) {
  Changes changes;
  for (const char* name : names) changes.push_back({HostChange::Kind::kModule, name});
  return changes;
}

HostChange Sysctl(std::string name, std::string value, uint64_t enough_at = 0) {
  return {HostChange::Kind::kSysctl, std::move(name), std::move(value), enough_at};
}

// Fewer than pods need, or none at all (a hardened host has 0).
constexpr uint64_t kFewNamespaces = 1024;
HostChange Namespaces(const char* type) {
  return Sysctl(fmt::format("user.max_{}_namespaces", type), "65536", kFewNamespaces);
}

Changes AllNamespaces() {
  Changes changes;
  for (const char* type : {"mnt", "pid", "net", "ipc", "uts", "cgroup"})
    changes.push_back(Namespaces(type));
  return changes;
}

Changes BridgeFilter() {
  Changes changes = Modules({"br_netfilter"});
  for (const char* name :
       {"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"})
    changes.push_back(Sysctl(name, "1"));
  return changes;
}

// By the names of findings. What is not here is not ours to change: packages, the kernel, its
// command line, other programs' configuration, disks, what somebody else's file stands in the way.
Changes ChangesFor(const std::string& finding, const Config& config) {
  const struct {
    const char* finding;
    Changes changes;
  } kTable[] = {
      {"run folder", {{HostChange::Kind::kMode, config.run.string(), "700"}}},
      {"shim program", {Sysctl("vm.memfd_noexec", "1")}},
      {"namespaces", AllNamespaces()},
      {"user namespaces", {Namespaces("user")}},
      {"erofs", Modules({"loop", "erofs"})},
      {"overlay", Modules({"overlay"})},
      {"nftables", Modules({"nf_tables", "nft_masq", "nft_nat", "nft_fib_inet"})},
      {"pod link", Modules({"veth"})},
      {"pod bandwidth", Modules({"sch_tbf", "sch_ingress", "cls_u32", "act_mirred", "ifb"})},
      {"tap", Modules({"tun", "veth", "sch_ingress", "cls_u32", "act_mirred"})},
      {kForwardingLine, {Sysctl("net.ipv4.ip_forward", "1")}},
      {kBridgeFilterLine, BridgeFilter()},
      {kInotifyLine,
       {Sysctl("fs.inotify.max_user_instances", "1024", kLeastInotifyInstances),
        Sysctl("fs.inotify.max_user_watches", "524288", kLeastInotifyWatches)}},
  };
  for (const auto& row : kTable)
    if (row.finding == finding) return row.changes;
  return {};
}

}  // namespace

std::vector<PlannedFix> PlanFixes(const DoctorReport& report, const Config& config) {
  std::vector<PlannedFix> fixes;
  for (const auto& section : report.sections) {
    for (const Finding& finding : section.findings) {
      const auto same = [&](const PlannedFix& fix) { return fix.finding == finding.name; };
      if (finding.status == FindingStatus::kOk || std::any_of(fixes.begin(), fixes.end(), same))
        continue;
      fixes.push_back({finding.name, ChangesFor(finding.name, config), finding.remedy});
    }
  }
  return fixes;
}

}  // namespace catamaran
