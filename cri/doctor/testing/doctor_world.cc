#include "cri/doctor/testing/doctor_world.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr int kBroken = 99;  // exit code where the world could not be made
std::string root_folder;     // of the run under way

[[noreturn]] void Die(const std::string& doing) {
  fprintf(stderr, "%s: %m\n", doing.c_str());
  _exit(kBroken);
}

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string KeyOf(const std::string& line) { return line.substr(0, line.find(':')); }

std::string ConfigText(const DoctorRun& run, const fs::path& base) {
  const bool vm = run.hull == DoctorRun::Hull::kVm;
  std::map<std::string, std::string> lines;
  for (const std::string& line :
       {"root: " + (base / "root").string(), std::string("run: /run/catamaran"),
        "cgroup_root: /" + base.filename().string(), std::string("network: builtin"),
        std::string("allow_emulation: true"),
        std::string(vm ? "default_handler: vm" : "default_handler: ns")})
    lines[KeyOf(line)] = line;
  std::string machine;
  std::istringstream extra(run.config);
  for (std::string line; std::getline(extra, line);) {
    constexpr std::string_view kMachine = "MACHINE ";
    if (line.starts_with(kMachine)) {
      machine += "      " + line.substr(kMachine.size()) + "\n";
    } else {
      lines[KeyOf(line)] = line;
    }
  }
  std::string text;
  for (const auto& [key, line] : lines) text += line + "\n";
  text += vm ? "handlers:\n  - name: vm\n    backend: vm\n"
             : "handlers:\n  - {name: ns, backend: ns}\n";
  if (!machine.empty()) text += "    machine:\n" + machine;
  return text;
}

// Children of this process 1, dead or alive, after the doctor has ended.
std::string LivingProcesses() {
  const Deadline deadline = Deadline::After(std::chrono::seconds(10));
  while (true) {
    const pid_t ended = waitpid(-1, nullptr, WNOHANG);
    if (ended < 0) return "";
    if (ended > 0) continue;
    if (deadline.expired()) return "a process; ";
    usleep(10'000);
  }
}

std::string LeftInFolders(const fs::path& base) {
  std::string left;
  for (const char* folder : {"/run", "/run/catamaran"}) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (entry.path().filename().string().starts_with(".catamaran"))
        left += entry.path().string() + "; ";
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(base / "root", error))
    if (entry.path().filename().string().starts_with(".catamaran"))
      left += entry.path().string() + "; ";
  return left;
}

std::string LeftGroups(const std::string& name) {
  std::string left;
  std::error_code error;
  if (fs::exists("/sys/fs/cgroup/" + name)) left += "cgroup " + name + "; ";
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", error))
    if (fs::exists(hierarchy.path() / name, error))
      left += "cgroup " + (hierarchy.path() / name).string() + "; ";
  return left;
}

[[noreturn]] void BecomeDoctor(const DoctorRun& run, const fs::path& base) {
  root_folder = base / "root";
  const UniqueFd output(open((base / "output").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644));
  const UniqueFd mounts(open((base / "mounts").c_str(), O_WRONLY | O_CREAT, 0644));
  if (run.break_it) run.break_it();
  (void)WriteAll(mounts.get(), ReadFile("/proc/self/mountinfo").value_or(""));
  dup2(output.get(), STDOUT_FILENO);
  dup2(output.get(), STDERR_FILENO);
  const std::string config = base / "config.yaml", kubelet = base / "kubelet.yaml";
  const std::string patience = std::to_string(run.patience_seconds);
  std::vector<std::string> arguments = {"catamaran", "doctor",     "--json",
                                        "--config",  config,       "--kubelet-config",
                                        kubelet,     "--patience", patience};
  arguments.insert(arguments.end(), run.flags.begin(), run.flags.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  for (int i = 1; i < run.times; ++i) {
    const pid_t before = fork();
    if (before < 0) Die("fork");
    if (before > 0) {
      waitpid(before, nullptr, 0);
      continue;
    }
    const UniqueFd nowhere(open("/dev/null", O_WRONLY));
    dup2(nowhere.get(), STDOUT_FILENO);
    execv(CATAMARAN_PROGRAM, argv.data());
    Die("start " CATAMARAN_PROGRAM);
  }
  execv(CATAMARAN_PROGRAM, argv.data());
  Die("start " CATAMARAN_PROGRAM);
}

// Process 1 of the pid namespace.
int RunInside(const DoctorRun& run, const fs::path& base) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Die("make / private");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    Die("mount proc");
  if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) Die("mount tmpfs");
  const pid_t doctor = fork();
  if (doctor < 0) Die("fork");
  if (doctor == 0) BecomeDoctor(run, base);
  int status = 0;
  waitpid(doctor, &status, 0);
  std::string left = LivingProcesses() + LeftInFolders(base);
  if (ReadFile("/proc/self/mountinfo").value_or("") != ReadFile(base / "mounts").value_or("-"))
    left += "mounts; ";
  if (!ReplaceFile(base / "leftovers", left, 0644, Durability::kProcessCrash)) Die("tell");
  return ExitCodeOf(status);
}

// `ready` tells the parent that there is a user namespace to be mapped, `go` that it was.
int RunOutside(const DoctorRun& run, const fs::path& base, Pipe& ready, Pipe& go) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (run.users == DoctorRun::Users::kOwn) {
    if (unshare(CLONE_NEWUSER) != 0) Die("make a user namespace");
    char told;
    if (!WriteAll(ready.write_end.get(), "r") || read(go.read_end.get(), &told, 1) != 1)
      Die("be mapped");
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) Die("become root");
  }
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) != 0) Die("unshare (are you root?)");
  const pid_t inside = fork();
  if (inside < 0) Die("fork");
  if (inside == 0) _exit(RunInside(run, base));
  int status = 0;
  waitpid(inside, &status, 0);
  return ExitCodeOf(status);
}

void MapUsers(pid_t child, Pipe& ready, Pipe& go) {
  char told;
  if (read(ready.read_end.get(), &told, 1) != 1) return;
  for (const char* file : {"uid_map", "gid_map"})
    (void)WriteExisting(fmt::format("/proc/{}/{}", child, file), "0 0 4294967295");
  (void)WriteAll(go.write_end.get(), "g");
}

void ParseOutput(DoctorOutcome* outcome) {
  const auto start = outcome->output.find('{');
  const auto document = nlohmann::json::parse(
      start == std::string::npos ? "" : outcome->output.substr(start), nullptr, false);
  if (!document.is_object() || !document.contains("findings")) return;
  for (const auto& object : document["findings"])
    if (auto finding = FindingFromLine(object.dump()))
      outcome->findings.push_back(std::move(*finding));
  for (const auto& object : document.value("mended", nlohmann::json::array()))
    outcome->mended.push_back(
        {object.value("name", ""), object.value("outcome", ""), object.value("text", "")});
}

}  // namespace

std::string RootFolder() { return root_folder; }

const Finding* DoctorOutcome::Find(const std::string& name) const {
  for (auto finding = findings.rbegin(); finding != findings.rend(); ++finding)
    if (finding->name == name) return &*finding;
  return nullptr;
}

DoctorOutcome RunDoctorIn(const DoctorRun& run) {
  std::string pattern = "/var/tmp/catamaran-doctor-test.XXXXXX";
  const fs::path base = mkdtemp(pattern.data());
  fs::permissions(base, fs::perms(0755));
  fs::create_directory(base / "root");
  Write(base / "config.yaml", ConfigText(run, base));
  Write(base / "kubelet.yaml", run.kubelet);
  Pipe ready = MakePipe().value(), go = MakePipe().value();
  fflush(nullptr);
  const pid_t outside = fork();
  if (outside == 0) _exit(RunOutside(run, base, ready, go));
  ready.write_end.Reset();
  if (run.users == DoctorRun::Users::kOwn) MapUsers(outside, ready, go);
  int status = 0;
  waitpid(outside, &status, 0);
  DoctorOutcome outcome;
  outcome.exit_code = ExitCodeOf(status);
  outcome.output = ReadFile(base / "output").value_or("");
  ParseOutput(&outcome);
  outcome.leftovers = ReadFile(base / "leftovers").value_or("nothing was looked at; ") +
                      LeftGroups(base.filename());
  fs::remove_all(base);
  return outcome;
}

const DoctorOutcome& RunDoctorOnce(const DoctorRun& run) {
  static std::map<std::pair<DoctorRun::Hull, DoctorRun::Users>, DoctorOutcome> done;
  const auto [entry, is_new] = done.try_emplace({run.hull, run.users});
  if (is_new) entry->second = RunDoctorIn(run);
  return entry->second;
}

}  // namespace catamaran
