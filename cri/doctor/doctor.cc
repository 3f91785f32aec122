#include "cri/doctor/doctor.h"

#include <fmt/ranges.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "cri/doctor/cgroup_driver_probe.h"
#include "cri/doctor/folder_probes.h"
#include "cri/doctor/guest_probe.h"
#include "cri/doctor/kubelet_probe.h"
#include "cri/doctor/mend.h"
#include "cri/doctor/network_probes.h"
#include "cri/doctor/report.h"
#include "cri/doctor/scratch.h"
#include "cri/doctor/shim_probes.h"
#include "cri/doctor/sysctl_probes.h"
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

// One report in the making.
class Examination {
 public:
  Examination(const Config& config, const DoctorOptions& options)
      : config_(config),
        options_(options),
        report_{options.version, options.config_source, DescribeHost(), {}, {}} {
    for (const auto& handler : config.handlers) report_.handlers.push_back(handler.name);
  }

  DoctorReport Run() {
    Section host{"host", {}, {}};
    const ProbeRunner into_host = Into(host);
    ProbeFolders(config_, into_host);
    ProbeCgroupDriver(config_, into_host);
    shim_ = OpenShimProgram(config_.shim, into_host);
    Append(AskShim(ProbeFlags::Of::kHost, {}), host.findings);
    ProbeSysctls(config_, into_host);
    ProbeNetwork(config_, options_.patience, into_host);
    report_.sections.push_back(std::move(host));
    ExamineHandlers();
    Section kubelet{"kubelet", {}, {}};
    ProbeKubelet(config_, options_.kubelet_config, Into(kubelet));
    report_.sections.push_back(std::move(kubelet));
    return std::move(report_);
  }

 private:
  ProbeRunner Into(Section& section) const {
    return [&section, this](const Probe& probe) {
      return section.findings.emplace_back(RunProbeInThread(probe, options_.patience));
    };
  }

  std::vector<Finding> AskShim(ProbeFlags::Of of, ProbeFlags flags) const {
    flags.of = of;
    flags.patience_seconds = options_.patience.count();
    // A slice is systemd's to make and to remove.
    const bool by_files = config_.cgroup_driver == CgroupDriver::kCgroupfs;
    const std::string parent = by_files && config_.cgroup_root != "/" ? config_.cgroup_root : "";
    flags.cgroup = fmt::format("{}/{}doctor-{}", parent, by_files ? "" : "catamaran-", getpid());
    return RunShimProbes(shim_, flags);
  }

  // Container roots are tried where images are kept, with an image of ours.
  std::vector<Finding> ExamineNamespaces() const {
    const auto scratch = ProbeScratch::Make(config_.root);
    const Status written = scratch ? scratch->WriteLayer() : tl::unexpected(scratch.error());
    if (!written)
      return {{"erofs", FindingStatus::kMissing, written.error().message,
               "no container starts: images are kept as EROFS",
               "see what is said of the root folder"}};
    ProbeFlags flags;
    flags.scratch = scratch->path().string();
    return AskShim(ProbeFlags::Of::kNamespaces, std::move(flags));
  }

  void ExamineHandlers() {
    const auto plain = NamesOf(config_, HandlerConfig::Hull::kNamespaces);
    if (!plain.empty())
      report_.sections.push_back(
          {fmt::format("handler {}", fmt::join(plain, ", ")), plain, ExamineNamespaces()});
    for (const auto& handler : config_.handlers) {
      if (handler.hull != HandlerConfig::Hull::kVm) continue;
      ProbeFlags flags;
      flags.machine = handler.machine;
      report_.sections.push_back({"handler " + handler.name,
                                  {handler.name},
                                  AskShim(ProbeFlags::Of::kVm, std::move(flags))});
      ProbeGuest(handler, HostPath(config_.shim.value().parent_path() / "catamaran-agent"),
                 Into(report_.sections.back()));
    }
  }

  const Config& config_;
  const DoctorOptions& options_;
  DoctorReport report_;
  UniqueFd shim_;
};

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

DoctorReport Examine(const Config& config, const DoctorOptions& options) {
  DoctorReport report = Examination(config, options).Run();
  if (options.fix == DoctorOptions::Fix::kNothing) return report;
  const auto mode =
      options.fix == DoctorOptions::Fix::kMake ? HostChanger::Mode::kMake : HostChanger::Mode::kSay;
  auto mended = Mend(report, config, HostChanger({}, mode), mode);
  const bool changed = std::any_of(mended.begin(), mended.end(), [](const auto& one) {
    return one.outcome == DoctorReport::Mended::Outcome::kDone;
  });
  if (changed) {
    report = Examination(config, options).Run();
    CheckMended(report, &mended);
  }
  report.mended = std::move(mended);
  return report;
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
