#include "cri/doctor/doctor.h"

#include <fmt/ranges.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "cri/doctor/folder_probes.h"
#include "cri/doctor/kubelet_probe.h"
#include "cri/doctor/network_probes.h"
#include "cri/doctor/report.h"
#include "cri/doctor/scratch.h"
#include "cri/doctor/shim_probes.h"
#include "cri/doctor/thread_probe.h"

namespace catamaran {
namespace {

using Section = DoctorReport::Section;

std::string DescribeHost() {
  utsname names{};
  struct sysinfo info {};
  uname(&names);
  sysinfo(&info);
  const uint64_t memory = uint64_t{info.totalram} * info.mem_unit;
  return fmt::format("{} {}, {} CPUs, {:.1f} GiB", names.sysname, names.release, get_nprocs(),
                     static_cast<double>(memory) / (1 << 30));
}

void Append(std::vector<Finding> from, std::vector<Finding>& to) {
  for (auto& finding : from) to.push_back(std::move(finding));
}

std::vector<std::string> NamesOf(const Config& config, HandlerConfig::Hull hull) {
  std::vector<std::string> names;
  for (const auto& handler : config.handlers)
    if (handler.hull == hull) names.push_back(handler.name);
  return names;
}

Section ProbeHost(const Config& config, const ShimProgram& shim) {
  Section host{"host", {}, ProbeFolders(config)};
  host.findings.push_back(shim.finding);
  ProbeFlags flags;
  flags.of = ProbeFlags::Of::kHost;
  flags.cgroup =
      fmt::format("{}/doctor-{}", config.cgroup_root == "/" ? "" : config.cgroup_root, getpid());
  Append(RunShimProbes(shim, flags), host.findings);
  Append(ProbeNetwork(config), host.findings);
  return host;
}

// Container roots are tried where images are kept, with an image of ours.
std::vector<Finding> ProbeNamespaceHull(const Config& config, const ShimProgram& shim) {
  auto scratch = ProbeScratch::Make(config.root);
  const Status written = scratch ? scratch->WriteLayer() : tl::unexpected(scratch.error());
  if (!written)
    return {{"erofs", FindingStatus::kMissing, written.error().message,
             "no container starts: images are kept as EROFS",
             "see what is said of the root folder"}};
  ProbeFlags flags;
  flags.of = ProbeFlags::Of::kNamespaces;
  flags.scratch = scratch->path().string();
  return RunShimProbes(shim, flags);
}

void ProbeHandlers(const Config& config, const ShimProgram& shim, DoctorReport& report) {
  const auto plain = NamesOf(config, HandlerConfig::Hull::kNamespaces);
  if (!plain.empty())
    report.sections.push_back({fmt::format("handler {}", fmt::join(plain, ", ")), plain,
                               ProbeNamespaceHull(config, shim)});
  for (const auto& handler : config.handlers) {
    if (handler.hull != HandlerConfig::Hull::kVm) continue;
    ProbeFlags flags;
    flags.of = ProbeFlags::Of::kVm;
    flags.machine = handler.machine;
    report.sections.push_back(
        {"handler " + handler.name, {handler.name}, RunShimProbes(shim, flags)});
  }
}

DoctorReport Examine(const Config& config, const DoctorOptions& options) {
  DoctorReport report{options.version, options.config_source, DescribeHost(), {}, {}};
  for (const auto& handler : config.handlers) report.handlers.push_back(handler.name);
  const ShimProgram shim = OpenShimProgram(config.shim);
  report.sections.push_back(ProbeHost(config, shim));
  ProbeHandlers(config, shim, report);
  report.sections.push_back({"kubelet", {}, ProbeKubelet(config, options.kubelet_config)});
  return report;
}

DoctorReport NoConfiguration(const Error& error, const DoctorOptions& options) {
  const Finding finding{"configuration", FindingStatus::kMissing, error.message,
                        "the daemon does not start; nothing else was tried",
                        "correct that line; catamaran config check tells when it is right"};
  return {options.version,
          options.config_source,
          DescribeHost(),
          {},
          {{"configuration", {}, {finding}}}};
}

}  // namespace

int RunDoctor(const Result<Config>& config, const DoctorOptions& options) {
  // Of probes that write to what is gone.
  signal(SIGPIPE, SIG_IGN);
  const DoctorReport report =
      config ? Examine(*config, options) : NoConfiguration(config.error(), options);
  fmt::print("{}", options.form == DoctorOptions::Form::kJson ? ReportToJson(report)
                                                              : ReportToText(report));
  fflush(stdout);
  // Nothing that a thread in the kernel may still use is torn down.
  if (ProbeThreadsLeft()) _exit(report.ExitCode());
  return report.ExitCode();
}

}  // namespace catamaran
