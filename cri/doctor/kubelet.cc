#include "cri/doctor/kubelet.h"

#include "cri/base/go_duration.h"
#include "cri/config/yaml_reader.h"

namespace catamaran {
namespace {

// Defaults: pkg/kubelet/apis/config/v1beta1/defaults.go of Kubernetes.
constexpr char kDefaultEndpoint[] = "unix:///run/containerd/containerd.sock";
constexpr auto kDefaultTimeout = std::chrono::minutes(2);

std::function<Status(const YamlValue&)> Text(std::optional<std::string>* out) {
  return [out](const YamlValue& value) { return value.Read(&out->emplace()); };
}
std::function<Status(const YamlValue&)> Flag(std::optional<bool>* out) {
  return [out](const YamlValue& value) { return value.Read(&out->emplace()); };
}

// The kubelet takes a path without a scheme too.
std::string WithScheme(const std::string& endpoint) {
  return endpoint.starts_with('/') ? "unix://" + endpoint : endpoint;
}

Finding Right(const char* name, std::string seen) {
  return {name, FindingStatus::kOk, std::move(seen), "", ""};
}

Finding Wrong(const char* name, std::string seen, std::string meaning, std::string remedy) {
  return {name, FindingStatus::kDegraded, std::move(seen), std::move(meaning), std::move(remedy)};
}

Finding CheckEndpoint(const KubeletSettings& settings, const KubeletNode& node) {
  const char* name = "kubelet endpoint";
  const std::string runtime = settings.runtime_endpoint.value_or(kDefaultEndpoint);
  const std::string image = settings.image_endpoint.value_or("");
  if (WithScheme(runtime) != node.listen)
    return Wrong(name, fmt::format("{}, the daemon listens on {}", runtime, node.listen),
                 "the kubelet's pods go to another runtime",
                 fmt::format("containerRuntimeEndpoint: {} in {}", node.listen, node.file));
  if (!image.empty() && WithScheme(image) != node.listen)
    return Wrong(name, fmt::format("images from {}", image),
                 "the kubelet pulls images where the daemon does not find them",
                 fmt::format("remove imageServiceEndpoint from {}", node.file));
  return Right(name, runtime);
}

Finding CheckDriver(const KubeletSettings& settings, const KubeletNode& node) {
  const char* name = "kubelet cgroups";
  const std::string driver = settings.cgroup_driver.value_or("cgroupfs");
  if (!node.cgroup_v2 && settings.fail_cgroup_v1.value_or(true))
    return Wrong(name, "failCgroupV1 is not false, and this host has cgroup v1",
                 "a kubelet of 1.35 or newer does not start",
                 fmt::format("failCgroupV1: false in {}", node.file));
  const std::string ours(CgroupDriverName(node.cgroup_driver));
  if (driver != ours)
    return Wrong(
        name, fmt::format("cgroupDriver: {}, the daemon's cgroup_driver is {}", driver, ours),
        "a kubelet before 1.34 does not ask the runtime: pods are then refused, or have no "
        "limits, as their groups are not where it makes theirs",
        fmt::format("cgroupDriver: {} in {}, or cgroup_driver: {} in the daemon's configuration",
                    ours, node.file, driver));
  return Right(name, node.cgroup_v2 ? ours : ours + ", failCgroupV1: false");
}

Finding CheckTimeout(const KubeletSettings& settings, const KubeletNode& node) {
  const char* name = "kubelet timeout";
  const auto timeout = settings.request_timeout.value_or(kDefaultTimeout);
  const std::string seen = fmt::format("{:.0f} s", static_cast<double>(timeout.count()) / 1000);
  // 0 is the default, as for every duration of the kubelet.
  if (timeout.count() == 0 || timeout >= kDefaultTimeout) return Right(name, seen);
  return Wrong(name, seen, "on a busy node pods are given up that were about to start",
               fmt::format("runtimeRequestTimeout: 2m in {}", node.file));
}

Finding CheckStats(const KubeletSettings& settings, const KubeletNode& node) {
  const char* name = "kubelet stats";
  if (settings.stats_from_cri.value_or(false)) return Right(name, "PodAndContainerStatsFromCRI");
  return Wrong(name, "the feature gate PodAndContainerStatsFromCRI is off",
               "the kubelet shows no network figures of pods, and of a VM only what its host sees",
               fmt::format("featureGates: {{PodAndContainerStatsFromCRI: true}} in {}", node.file));
}

}  // namespace

Result<KubeletSettings> ParseKubeletConfig(std::string_view text, const std::string& file_name) {
  KubeletSettings settings;
  std::string kind;
  const auto gates = [&](const YamlValue& value) {
    return value.ReadMapping({{"PodAndContainerStatsFromCRI", Flag(&settings.stats_from_cri)}},
                             YamlValue::UnknownKeys::kIgnore);
  };
  const auto timeout = [&](const YamlValue& value) -> Status {
    std::string duration;
    RETURN_IF_ERROR(value.Read(&duration));
    settings.request_timeout = ParseGoDuration(duration);
    return settings.request_timeout ? Status() : value.Wrong("a duration, such as 2m0s");
  };
  RETURN_IF_ERROR(
      YamlValue::ReadDocument(text, file_name,
                              {{"kind", [&](const YamlValue& value) { return value.Read(&kind); }},
                               {"containerRuntimeEndpoint", Text(&settings.runtime_endpoint)},
                               {"imageServiceEndpoint", Text(&settings.image_endpoint)},
                               {"cgroupDriver", Text(&settings.cgroup_driver)},
                               {"podLogsDir", Text(&settings.pod_logs_dir)},
                               {"failCgroupV1", Flag(&settings.fail_cgroup_v1)},
                               {"runtimeRequestTimeout", timeout},
                               {"featureGates", gates}},
                              YamlValue::UnknownKeys::kIgnore));
  if (kind != "KubeletConfiguration")
    return Fail(ErrorCode::kInvalidArgument, "{}: kind: '{}': it should be KubeletConfiguration",
                file_name, kind);
  // An empty text is the default, for the kubelet.
  for (auto* value : {&settings.runtime_endpoint, &settings.image_endpoint, &settings.cgroup_driver,
                      &settings.pod_logs_dir})
    if (*value && (*value)->empty()) value->reset();
  return settings;
}

void ApplyKubeadmFlags(std::string_view text, KubeletSettings* settings) {
  constexpr std::string_view kFlag = "--container-runtime-endpoint=";
  const size_t start = text.find(kFlag);
  if (start == std::string_view::npos) return;
  const std::string_view rest = text.substr(start + kFlag.size());
  settings->runtime_endpoint = std::string(rest.substr(0, rest.find_first_of(" \"'\n")));
}

std::vector<Finding> CheckKubelet(const KubeletSettings& settings, const KubeletNode& node) {
  return {CheckEndpoint(settings, node), CheckDriver(settings, node), CheckTimeout(settings, node),
          CheckStats(settings, node)};
}

}  // namespace catamaran
