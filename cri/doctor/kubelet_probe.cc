#include "cri/doctor/kubelet_probe.h"

#include <linux/magic.h>
#include <sys/statfs.h>

#include <memory>

#include "cri/doctor/kubelet.h"
#include "cri/doctor/scratch.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr char kFlagsFile[] = "kubeadm-flags.env";
constexpr char kDefaultLogs[] = "/var/log/pods";

Result<KubeletSettings> ReadSettings(const HostPath& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file.value(), kLargestFile));
  ASSIGN_OR_RETURN(KubeletSettings settings, ParseKubeletConfig(text, file.string()));
  const auto flags = ReadFile(file.value().parent_path() / kFlagsFile, kLargestFile);
  if (flags) ApplyKubeadmFlags(*flags, &settings);
  return settings;
}

// The shims write containers' logs there.
Result<Finding> TryLogs(const HostPath& folder) {
  const HostPath nearest = NearestFolder(folder);
  struct statfs status;
  if (statfs(nearest.c_str(), &status) != 0) return FailWithErrno("statfs {}", nearest.string());
  RETURN_IF_ERROR(ProbeScratch::Make(nearest).map([](const ProbeScratch&) {}));
  if (status.f_type != TMPFS_MAGIC) return Works(folder.string());
  return Fail(ErrorCode::kFailedPrecondition, "{} is on tmpfs", nearest.string());
}

}  // namespace

void ProbeKubelet(const Config& config, const HostPath& file, const ProbeRunner& run) {
  const auto settings = std::make_shared<KubeletSettings>();
  const Finding read = run(
      {.name = "kubelet",
       .failure = FindingStatus::kDegraded,
       .meaning = "its settings were not checked",
       .remedy = "where the kubelet runs with another file: catamaran doctor --kubelet-config FILE",
       .run = [settings, file]() -> Result<Finding> {
         ASSIGN_OR_RETURN(*settings, ReadSettings(file));
         return Works(file.string());
       }});
  if (read.status != FindingStatus::kOk) return;
  const auto tree = CgroupTree::Open();
  const bool cgroup_v2 = !tree || (*tree)->kind() == CgroupTree::Kind::kUnified;
  for (const auto& finding :
       CheckKubelet(*settings, {file.string(), config.listen, cgroup_v2, config.cgroup_driver}))
    run({.name = finding.name, .run = [finding] { return Result<Finding>(finding); }});
  const HostPath logs(settings->pod_logs_dir.value_or(kDefaultLogs));
  run({.name = "kubelet logs",
       .failure = FindingStatus::kDegraded,
       .meaning = "containers' logs are lost, or take memory",
       .remedy = fmt::format("podLogsDir: a folder on a disk that can be written to, in {}",
                             file.string()),
       .run = [logs] { return TryLogs(logs); }});
}

}  // namespace catamaran
