// What the doctor says of broken networks, and of a kubelet with other settings.

#include "cri/doctor/testing/broken.h"

namespace catamaran {
namespace {

// ---- the network ----

const Row kNetworkRows[] = {
    {"nft that cannot be run",
     {.break_it = [] { CoverWithEmptyFile(RealPath("/usr/sbin/nft")); }},
     {{"nftables", kMissing, "nft", "apt-get install nftables"}}},
    {"nft that refuses the rules",
     {.break_it = [] { CoverWithScript(RealPath("/usr/sbin/nft"), "echo no masquerade; exit 1"); }},
     {{"nftables", kMissing, "no masquerade", "modprobe nf_tables"}}},
    {"nft that hangs",
     {.patience_seconds = 3,
      .break_it = [] { CoverWithScript(RealPath("/usr/sbin/nft"), "exec sleep 1000"); }},
     {{"nftables", kMissing, "did not end in time", "--patience 30"}}},
    {"a host that has the pods addresses already",
     {.break_it =
          [] {
            Command(
                "ip link add taken type veth && ip addr add 10.88.7.1/24 dev taken "
                "&& ip link set taken up");
          }},
     {{"pod addresses", kDegraded, "10.88.7.0/24 by taken", "builtin_network.cidr_v4"}}},
    {"no right to change links",
     {.break_it = [] { DropCapability(12); }},
     {{"capabilities", kMissing, "CAP_NET_ADMIN", "bounding set"},
      {"nftables", kMissing, "Operation not permitted", "nftables"},
      {"pod link", kMissing, "Operation not permitted", "veth"},
      {"pod bandwidth", kDegraded, "Operation not permitted", "sch_tbf"}}},
};
INSTANTIATE_TEST_SUITE_P(Network, Broken, ::testing::ValuesIn(kNetworkRows), NameOfRow);

// ---- CNI ----

constexpr char kConflist[] = R"({"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ours", "bridge": "none0"}]})";
constexpr char kPlugin[] = R"(echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}')";

// The configuration of a node whose network is in files of the run's own.
DoctorRun Cni(const std::string& conflist, const std::string& plugin) {
  DoctorRun run;
  run.config = "network: cni\ncni: {conf_dir: /run/net.d, bin_dirs: [/run/plugins]}\n";
  run.break_it = [conflist, plugin] {
    if (!conflist.empty()) Write("/run/net.d/10-pods.conflist", conflist);
    if (!plugin.empty()) Write("/run/plugins/ours", "#!/bin/sh\n" + plugin + "\n", 0755);
  };
  return run;
}

const std::vector<std::string> kBuiltinLines = {"nftables", "pod link", "pod bandwidth",
                                                "pod addresses"};

const Row kCniRows[] = {
    {"CNI that works",
     Cni(kConflist, kPlugin),
     {{"cni configuration", kOk, "10-pods.conflist: pods, CNI 1.0.0, ours", ""},
      {"cni plugins", kOk, "ours speaks CNI 1.0.0", ""}},
     kBuiltinLines},
    {"no CNI configuration",
     Cni("", ""),
     {{"cni configuration", kMissing, "no *.conflist", "network add-on"}},
     kBuiltinLines},
    {"a CNI configuration that is none",
     Cni(R"({"cniVersion": "1.0.0", "plugins": []})", kPlugin),
     {{"cni configuration", kMissing, "10-pods.conflist", "correct or remove"}},
     kBuiltinLines},
    {"a CNI configuration beside one that is none",
     [] {
       DoctorRun run = Cni(kConflist, kPlugin);
       run.break_it = [write = run.break_it] {
         write();
         Write("/run/net.d/05-first.conflist", "{");
       };
       return run;
     }(),
     {{"cni configuration", kDegraded, "passed over: /run/net.d/05-first.conflist", "correct or"},
      {"cni plugins", kOk, "ours speaks", ""}},
     kBuiltinLines},
    {"no CNI plugin",
     Cni(kConflist, ""),
     {{"cni configuration", kOk, "pods", ""}, {"cni plugins", kMissing, "ours", "apt-get install"}},
     kBuiltinLines},
    {"a CNI plugin of another version",
     Cni(kConflist, R"(echo '{"cniVersion":"0.2.0","supportedVersions":["0.2.0"]}')"),
     {{"cni configuration", kOk, "pods", ""},
      {"cni plugins", kMissing, "does not speak CNI 1.0.0", "apt-get install"}},
     kBuiltinLines},
    {"a CNI plugin that is not ready",
     Cni(std::string(kConflist).replace(16, 5, "1.1.0"),
         R"(case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}';;
*) echo '{"cniVersion":"1.1.0","code":50,"msg":"no leases"}'; exit 1;;
esac)"),
     {{"cni configuration", kOk, "CNI 1.1.0", ""},
      {"cni plugins", kMissing, "no leases", "network add-on"}},
     kBuiltinLines},
};
INSTANTIATE_TEST_SUITE_P(Cni, Broken, ::testing::ValuesIn(kCniRows), NameOfRow);

// ---- the kubelet ----

std::string Kubelet(const std::string& from, const std::string& to) {
  std::string text = kRightKubelet;
  return text.replace(text.find(from), from.size(), to);
}

const Row kKubeletRows[] = {
    {"a kubelet of another runtime",
     {.kubelet = Kubelet("catamaran.sock", "containerd.sock")},
     {{"kubelet endpoint", kDegraded, "containerd.sock",
       "containerRuntimeEndpoint: unix:///run/"}}},
    {"a kubelet with the other cgroup driver",
     {.kubelet = Kubelet("cgroupDriver: cgroupfs", "cgroupDriver: systemd")},
     {{"kubelet cgroups", kDegraded, "systemd", "cgroupDriver: cgroupfs"}}},
    {"a kubelet that gives up early",
     {.kubelet = Kubelet("2m", "15s")},
     {{"kubelet timeout", kDegraded, "15 s", "runtimeRequestTimeout: 2m"}}},
    {"a kubelet that asks for no figures",
     {.kubelet = Kubelet("FromCRI: true", "FromCRI: false")},
     {{"kubelet stats", kDegraded, "is off", "PodAndContainerStatsFromCRI: true"}}},
    {"logs in memory",
     {.kubelet = Kubelet("podLogsDir: /var/tmp", "podLogsDir: /run/logs")},
     {{"kubelet logs", kDegraded, "/run is on tmpfs", "podLogsDir"}}},
    {"a kubelet configuration that is none",
     {.kubelet = "kind: Pod\n"},
     {{"kubelet", kDegraded, "KubeletConfiguration", "--kubelet-config"}},
     {"kubelet endpoint", "kubelet cgroups", "kubelet timeout", "kubelet stats", "kubelet logs"}},
};
INSTANTIATE_TEST_SUITE_P(Kubelet, Broken, ::testing::ValuesIn(kKubeletRows), NameOfRow);

}  // namespace
}  // namespace catamaran
