// What the probe sees and does of processes, its own first.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "sandbox/backend/engine_probe_verbs.h"

namespace catamaran {
namespace {

using Arguments = std::vector<std::string>;

void Report(const std::string& key, const std::string& value) { ReportFromProbe(key, value); }

std::string StatusField(const std::string& name) {
  FILE* file = fopen("/proc/self/status", "r");
  char line[512];
  std::string found;
  while (file != nullptr && fgets(line, sizeof line, file) != nullptr)
    if (strncmp(line, name.c_str(), name.size()) == 0 && line[name.size()] == ':')
      found = line + name.size() + 2;
  if (file != nullptr) fclose(file);
  while (!found.empty() && isspace(static_cast<unsigned char>(found.back()))) found.pop_back();
  return found;
}

void Ids(const Arguments&) {
  uid_t ruid, euid, suid;
  gid_t rgid, egid, sgid;
  getresuid(&ruid, &euid, &suid);
  getresgid(&rgid, &egid, &sgid);
  std::ostringstream text;
  text << ruid << "," << euid << "," << suid << ":" << rgid << "," << egid << "," << sgid << ":";
  gid_t groups[64];
  const int count = getgroups(64, groups);
  std::sort(groups, groups + std::max(count, 0));
  for (int i = 0; i < count; ++i) text << (i > 0 ? "," : "") << groups[i];
  Report("ids", text.str());
}

void Capabilities(const Arguments&) {
  for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    Report(name, StatusField(name));
}

// ioprio_get(2) and sched_getattr(2), as numbers.
void Priorities(const Arguments&) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } scheduler{};
  const long io = syscall(SYS_ioprio_get, 1, 0);
  Report("io-priority", std::to_string(io >> 13) + ":" + std::to_string(io & 0x1fff));
  if (syscall(SYS_sched_getattr, 0, &scheduler, sizeof scheduler, 0) != 0)
    return Report("scheduler", strerrorname_np(errno));
  std::ostringstream text;
  text << scheduler.policy << " nice " << scheduler.nice << " priority " << scheduler.priority
       << " flags " << scheduler.flags;
  // Of the others newer kernels tell how long a slice is.
  if (scheduler.policy == SCHED_DEADLINE)
    text << " times " << scheduler.runtime << "," << scheduler.deadline << "," << scheduler.period;
  Report("scheduler", text.str());
}

void Allocate(const Arguments& arguments) {
  const size_t bytes = strtoul(arguments[1].c_str(), nullptr, 10) << 20;
  auto* memory = static_cast<char*>(
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return Report("allocate", strerrorname_np(errno));
  for (size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
  Report("allocate", "ok");
}

// How many children could be made at once.
void Forks(const Arguments& arguments) {
  std::vector<pid_t> children;
  for (int i = 0; i < atoi(arguments[1].c_str()); ++i) {
    const pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) {
      pause();
      _exit(0);
    }
    children.push_back(pid);
  }
  Report("forks", std::to_string(children.size()));
  for (const pid_t pid : children) kill(pid, SIGKILL);
  while (wait(nullptr) > 0) {
  }
}

// A grandchild that nobody waits for and that stays.
void Daemon(const Arguments&) {
  const pid_t child = fork();
  if (child == 0) {
    if (fork() == 0) {
      setsid();
      while (true) pause();
    }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  Report("daemon", "ok");
}

void Listen(const Arguments& arguments) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(atoi(arguments[1].c_str())));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(server, 8) != 0)
    return Report("listen", strerrorname_np(errno));
  Report("listen", "ok");
  const int client = accept(server, nullptr, nullptr);
  const std::string greeting = "hello from the pod\n";
  [[maybe_unused]] auto written = write(client, greeting.data(), greeting.size());
  close(client);
}

void Terminal(const Arguments&) {
  const char* name = ttyname(STDIN_FILENO);
  winsize size{};
  ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
  Report("tty", name == nullptr ? "none" : name);
  Report("size", std::to_string(size.ws_col) + "x" + std::to_string(size.ws_row));
  const int controlling = open("/dev/tty", O_RDWR);
  Report("controlling", ProbeErrorOr(controlling));
}

std::string WorkingDirectory() {
  char path[PATH_MAX];
  return getcwd(path, sizeof path) == nullptr ? strerrorname_np(errno) : path;
}

// What can be had of every other process that is seen here.
void Pry(const Arguments&) {
  int seen = 0, traced = 0, opened = 0;
  DIR* stream = opendir("/proc");
  while (const dirent* entry = stream == nullptr ? nullptr : readdir(stream)) {
    const pid_t pid = atoi(entry->d_name);
    if (pid <= 0 || pid == getpid()) continue;
    ++seen;
    if (ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) == 0) ++traced;
    for (const char* file : {"mem", "environ", "maps", "exe", "root/etc", "fd/0"}) {
      const int fd = open(("/proc/" + std::string(entry->d_name) + "/" + file).c_str(), O_RDONLY);
      if (fd < 0) continue;
      ++opened;
      close(fd);
    }
  }
  if (stream != nullptr) closedir(stream);
  Report("pry", std::to_string(seen) + " seen, " + std::to_string(traced) + " traced, " +
                    std::to_string(opened) + " opened");
}

[[noreturn]] void Forever(const Arguments&) {
  while (true) pause();
}

}  // namespace

const ProbeVerbs& ProcessVerbs() {
  static const ProbeVerbs verbs = {
      {"pid", [](const Arguments&) { Report("pid", std::to_string(getpid())); }},
      {"session", [](const Arguments&) { Report("session", std::to_string(getsid(0))); }},
      {"ids", Ids},
      {"caps", Capabilities},
      {"nnp", [](const Arguments&) { Report("nnp", StatusField("NoNewPrivs")); }},
      {"seccomp", [](const Arguments&) { Report("seccomp", StatusField("Seccomp")); }},
      {"hostname",
       [](const Arguments&) {
         char name[65] = {};
         gethostname(name, sizeof name);
         Report("hostname", name);
       }},
      {"cwd", [](const Arguments&) { Report("cwd", WorkingDirectory()); }},
      {"env",
       [](const Arguments& a) {
         const char* value = getenv(a[1].c_str());
         Report("env " + a[1], value == nullptr ? "unset" : value);
       }},
      {"ns",
       [](const Arguments& a) { Report("ns " + a[1], ProbeLinkOf("/proc/self/ns/" + a[1])); }},
      {"tty", Terminal},
      {"pry", Pry},
      {"sleep", [](const Arguments& a) { usleep(atoi(a[1].c_str()) * 1000); }},
      {"forever", Forever},
      {"exit", [](const Arguments& a) { _exit(atoi(a[1].c_str())); }},
      {"kill-self", [](const Arguments& a) { kill(getpid(), atoi(a[1].c_str())); }},
      {"on-term",
       [](const Arguments&) {
         signal(SIGTERM, [](int) { _exit(42); });
         Report("on-term", "ok");
       }},
      {"allocate", Allocate},
      {"sockets",
       [](const Arguments& a) {
         for (int i = 0; i < atoi(a[1].c_str()); ++i)
           if (socket(AF_UNIX, SOCK_STREAM, 0) < 0)
             return Report("sockets", strerrorname_np(errno));
         Report("sockets", "ok");
       }},
      {"forks", Forks},
      {"daemon", Daemon},
      {"listen", Listen},
      {"priorities", Priorities},
  };
  return verbs;
}

}  // namespace catamaran
