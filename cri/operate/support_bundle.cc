#include "cri/operate/support_bundle.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>

#include "cri/base/program_run.h"
#include "cri/base/redact.h"
#include "cri/base/version.h"
#include "cri/config/settings.h"
#include "cri/operate/daemon_facts.h"
#include "cri/operate/tar_zst_writer.h"
#include "cri/telemetry/scrape.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr seconds kCallPatience{20}, kDoctorPatience{180}, kJournalPatience{60};
constexpr size_t kMostLog = 8 << 20;
constexpr size_t kMostOfAFile = 1 << 20;
constexpr char kJournalLines[] = "20000";

// Adds texts below one folder, whatever they are, redacted; remembers the first failure to write.
class Bundle {
 public:
  Bundle(TarZstWriter writer, std::string folder)
      : writer_(std::move(writer)), folder_(std::move(folder)) {}

  void Add(const std::string& name, const std::string& text) { AddAsItIs(name, RedactText(text)); }
  // Redacted already, or nothing that could hold a secret.
  void AddAsItIs(const std::string& name, const std::string& text) {
    if (!status_) return;
    status_ = writer_.Add(folder_ + "/" + name, text);
    names_ += fmt::format("  {} ({} bytes)\n", name, text.size());
  }
  void Add(const std::string& name, const Result<std::string>& text) {
    Add(name, text ? *text : "not to be had: " + text.error().message + "\n");
  }
  const std::string& names() const { return names_; }
  Status Finish() {
    if (status_) status_ = writer_.Close();
    return status_;
  }

 private:
  TarZstWriter writer_;
  const std::string folder_;
  std::string names_;
  Status status_;
};

std::string EffectiveConfig(const Config& config) {
  std::string text = "# in force, defaults included; by `catamaran support-bundle`\n";
  for (const Setting& setting : SettingsOf(config))
    text += fmt::format("{}: {}\n", setting.key, setting.value);
  return text;
}

std::string HostText() {
  utsname name{};
  uname(&name);
  return fmt::format("catamaran {}\n{} {} {} {}\nhost {}\n{:%Y-%m-%dT%H:%M:%SZ}\n", Version(),
                     name.sysname, name.release, name.version, name.machine, name.nodename,
                     fmt::gmtime(time(nullptr)));
}

Result<std::string> EndOfFile(const std::string& path, size_t most) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDONLY));
  const off_t size = lseek(file.get(), 0, SEEK_END);
  if (size < 0) return FailWithErrno("seek in {}", path);
  lseek(file.get(), std::max<off_t>(0, size - static_cast<off_t>(most)), SEEK_SET);
  return ReadAll(file.get(), most);
}

Result<std::string> OutputOf(const std::string& program, std::vector<std::string> arguments,
                             Deadline deadline) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(program, O_PATH));
  ProgramRun run{.args = {program}};
  run.args.insert(run.args.end(), arguments.begin(), arguments.end());
  ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram(file, run, deadline));
  return end.output + end.diagnostics;
}

Result<std::string> Doctor(const SupportBundleOptions& options) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return FailErrno(error.value(), "read /proc/self/exe");
  std::vector<std::string> arguments{"doctor", "--json"};
  if (!options.config_file.empty()) {
    arguments.push_back("--config");
    arguments.push_back(options.config_file);
  }
  return OutputOf(program.string(), arguments, Deadline::After(kDoctorPatience));
}

Result<std::string> DaemonLog(const SupportBundleOptions& options) {
  if (!options.log_file.empty()) return EndOfFile(options.log_file, kMostLog);
  return OutputOf("/usr/bin/journalctl",
                  {"--unit", "catamaran", "--lines", kJournalLines, "--no-pager"},
                  Deadline::After(kJournalPatience));
}

void AddHost(const Config& config, Bundle* bundle) {
  bundle->Add("versions.txt", HostText());
  for (const char* file : {"cgroups", "cmdline", "filesystems", "loadavg", "meminfo", "modules",
                           "mounts", "sys/kernel/pid_max", "sys/fs/file-nr"}) {
    std::string name(file);
    std::replace(name.begin(), name.end(), '/', '-');
    bundle->Add("host/" + name, ReadFile(std::string("/proc/") + file, kMostOfAFile));
  }
  bundle->Add("host/os-release", ReadFile("/etc/os-release", kMostOfAFile));
  for (const HostPath& folder :
       {config.run, config.run / "pods", config.root, config.root / "pods", config.cni_conf_dir}) {
    auto names = ListDirectory(folder.value());
    std::string text = names ? "" : names.error().message + "\n";
    for (const std::string& name : names.value_or(std::vector<std::string>())) text += name + "\n";
    std::string file = folder.string().substr(1);
    std::replace(file.begin(), file.end(), '/', '-');
    bundle->AddAsItIs("folders/" + file + ".txt", text);
  }
}

void AddDaemon(const Config& config, const SupportBundleOptions& options, Bundle* bundle) {
  const auto cri = CriClient::Create(config.listen, kCallPatience);
  if (cri) {
    CollectDaemonFacts(**cri, [&](const std::string& name, const std::string& text) {
      bundle->AddAsItIs(name, text);  // by its keys, not as text
    });
  }
  bundle->Add("daemon/metrics.txt", Scrape(config.MetricsSocket(), Deadline::After(kCallPatience)));
  bundle->Add("daemon/log.txt", DaemonLog(options));
}

}  // namespace

Status SupportBundleCommand(const Config& config, const SupportBundleOptions& options) {
  const std::string file =
      options.file.empty()
          ? fmt::format("catamaran-support-{:%Y%m%dT%H%M%SZ}.tar.zst", fmt::gmtime(time(nullptr)))
          : options.file;
  ASSIGN_OR_RETURN(TarZstWriter writer, TarZstWriter::Create(HostPath(file)));
  Bundle bundle(std::move(writer), "catamaran-support");
  AddHost(config, &bundle);
  bundle.Add("config.txt", EffectiveConfig(config));
  bundle.Add("doctor.json", Doctor(options));
  AddDaemon(config, options, &bundle);
  if (auto finished = bundle.Finish(); !finished) {
    unlink(file.c_str());
    return finished;
  }
  fmt::print(
      "{}\n{}Values of environment variables, annotations and what looks like a secret are\n"
      "left out. Look through it before you give it away: zstd -dc FILE | tar -xvf -\n",
      file, bundle.names());
  return {};
}

}  // namespace catamaran
