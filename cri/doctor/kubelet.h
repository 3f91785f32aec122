#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cri/cgroups/cgroup_driver.h"
#include "sandbox/base/result.h"
#include "sandbox/probes/finding.h"

namespace catamaran {

// What a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) says of the runtime. Absent: the
// kubelet's default.
struct KubeletSettings {
  std::optional<std::string> runtime_endpoint, image_endpoint, cgroup_driver, pod_logs_dir;
  std::optional<bool> fail_cgroup_v1, stats_from_cri;
  std::optional<std::chrono::milliseconds> request_timeout;
};

// `file_name` is for errors: kInvalidArgument with the line. Other keys are none of ours.
Result<KubeletSettings> ParseKubeletConfig(std::string_view text, const std::string& file_name);
// kubeadm's kubeadm-flags.env: what the command line says wins over the file.
void ApplyKubeadmFlags(std::string_view text, KubeletSettings* settings);

// This node, as far as the kubelet's settings depend on it.
struct KubeletNode {
  std::string file;    // where the settings come from
  std::string listen;  // ours
  bool cgroup_v2 = true;
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;  // ours
};
// One finding a setting. Never kMissing: pods run, whatever a kubelet makes of them.
std::vector<Finding> CheckKubelet(const KubeletSettings& settings, const KubeletNode& node);

}  // namespace catamaran
