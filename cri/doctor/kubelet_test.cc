#include "cri/doctor/kubelet.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace catamaran {
namespace {

constexpr char kRight[] = R"(apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication: {anonymous: {enabled: false}}
cgroupDriver: cgroupfs
clusterDNS: [10.96.0.10]
containerRuntimeEndpoint: unix:///run/catamaran/catamaran.sock
failCgroupV1: false
featureGates: {Other: false, PodAndContainerStatsFromCRI: true}
runtimeRequestTimeout: 2m0s
)";

KubeletNode Node(bool cgroup_v2 = true) {
  return {"/k", "unix:///run/catamaran/catamaran.sock", cgroup_v2};
}

// Names of the findings that are not ok, with their remedies.
std::vector<std::string> Complaints(const std::string& text, const KubeletNode& node) {
  const auto settings = ParseKubeletConfig(text, "/k");
  if (!settings) return {settings.error().message};
  std::vector<std::string> complaints;
  for (const Finding& finding : CheckKubelet(*settings, node)) {
    EXPECT_NE(finding.status, FindingStatus::kMissing);
    EXPECT_EQ(finding.status == FindingStatus::kOk, finding.remedy.empty()) << finding.name;
    if (finding.status != FindingStatus::kOk)
      complaints.push_back(finding.name + ": " + finding.remedy);
  }
  return complaints;
}

std::string With(const std::string& from, const std::string& to) {
  std::string text = kRight;
  return text.replace(text.find(from), from.size(), to);
}

using Texts = std::vector<std::string>;

TEST(Kubelet, HasNothingToComplainOfWhereAllIsRight) {
  EXPECT_EQ(Complaints(kRight, Node(true)), Texts());
  EXPECT_EQ(Complaints(kRight, Node(false)), Texts());
}

TEST(Kubelet, NamesEachWrongSettingWithTheRightOne) {
  struct Row {
    std::string from, to;
    bool cgroup_v2;
    Texts complaints;
  };
  const std::string endpoint =
      "kubelet endpoint: containerRuntimeEndpoint: unix:///run/catamaran/catamaran.sock in /k";
  const Row rows[] = {
      {"unix:///run/catamaran/catamaran.sock", "unix:///run/crio/crio.sock", true, {endpoint}},
      {"containerRuntimeEndpoint", "other", true, {endpoint}},
      {"unix:///run/catamaran", "/run/catamaran", true, {}},
      {"address: 0.0.0.0",
       "imageServiceEndpoint: unix:///run/x.sock",
       true,
       {"kubelet endpoint: remove imageServiceEndpoint from /k"}},
      {"address: 0.0.0.0", "imageServiceEndpoint: \"\"", true, {}},
      {"cgroupDriver: cgroupfs",
       "cgroupDriver: systemd",
       true,
       {"kubelet cgroups: cgroupDriver: cgroupfs in /k, or cgroup_driver: systemd in the daemon's "
        "configuration"}},
      {"failCgroupV1: false",
       "failCgroupV1: true",
       false,
       {"kubelet cgroups: failCgroupV1: false in /k"}},
      {"failCgroupV1: false", "x: y", false, {"kubelet cgroups: failCgroupV1: false in /k"}},
      {"failCgroupV1: false", "failCgroupV1: true", true, {}},
      {"2m0s", "30s", true, {"kubelet timeout: runtimeRequestTimeout: 2m in /k"}},
      {"2m0s", "0s", true, {}},
      {"FromCRI: true",
       "FromCRI: false",
       true,
       {"kubelet stats: featureGates: {PodAndContainerStatsFromCRI: true} in /k"}},
  };
  for (const Row& row : rows)
    EXPECT_EQ(Complaints(With(row.from, row.to), Node(row.cgroup_v2)), row.complaints) << row.to;
}

TEST(Kubelet, HasTheDaemonsCgroupDriver) {
  KubeletNode node = Node();
  node.cgroup_driver = CgroupDriver::kSystemd;
  EXPECT_EQ(Complaints(With("cgroupDriver: cgroupfs", "cgroupDriver: systemd"), node), Texts());
  EXPECT_EQ(Complaints(kRight, node),
            Texts{"kubelet cgroups: cgroupDriver: systemd in /k, or cgroup_driver: cgroupfs in the "
                  "daemon's configuration"});
}

TEST(Kubelet, RefusesWhatIsNoConfigurationNamingTheLine) {
  EXPECT_EQ(Complaints(With("kind: KubeletConfiguration", "kind: Pod"), Node()),
            Texts{"/k: kind: 'Pod': it should be KubeletConfiguration"});
  EXPECT_EQ(Complaints(With("failCgroupV1: false", "failCgroupV1: maybe"), Node()),
            Texts{"/k:8: failCgroupV1: 'maybe' is wrong: must be one of false, off, true, on"});
  EXPECT_EQ(
      Complaints(With("2m0s", "soon"), Node()),
      Texts{"/k:10: runtimeRequestTimeout: 'soon' is wrong: must be a duration, such as 2m0s"});
  EXPECT_FALSE(ParseKubeletConfig("kind: [", "/k"));
  EXPECT_FALSE(ParseKubeletConfig("", "/k"));
}

TEST(Kubelet, ObeysItsCommandLineOverItsFile) {
  KubeletSettings settings;
  ApplyKubeadmFlags("KUBELET_KUBEADM_ARGS=\"--x=1\"\n", &settings);
  EXPECT_FALSE(settings.runtime_endpoint);
  ApplyKubeadmFlags(
      "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///a.sock --pod-infra=b\"\n",
      &settings);
  EXPECT_EQ(settings.runtime_endpoint, "unix:///a.sock");
}

}  // namespace
}  // namespace catamaran
