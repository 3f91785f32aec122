#include "sandbox/backend/engine_probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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
#include <string>
#include <vector>

namespace catamaran {
namespace {

using Arguments = std::vector<std::string>;

void Report(const std::string& key, const std::string& value) { ReportFromProbe(key, value); }

std::string ErrorOr(long result, const std::string& good = "ok") {
  return result < 0 ? strerrorname_np(errno) : good;
}

std::string ReadText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (fd < 0) return strerrorname_np(errno);
  std::string text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, count);
  if (count < 0) text = strerrorname_np(errno);
  close(fd);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', '|');
  return text;
}

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

void ListFolder(const Arguments& arguments) {
  std::vector<std::string> names;
  DIR* stream = opendir(arguments[1].c_str());
  if (stream == nullptr) return Report("list " + arguments[1], strerrorname_np(errno));
  while (const dirent* entry = readdir(stream))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  closedir(stream);
  std::sort(names.begin(), names.end());
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ",") + name;
  Report("list " + arguments[1], text);
}

void Fds(const Arguments&) {
  std::string text;
  for (int fd = 0; fd < 4096; ++fd)
    if (fcntl(fd, F_GETFD) >= 0) text += (text.empty() ? "" : ",") + std::to_string(fd);
  Report("fds", text);
}

std::string Describe(const struct stat& status) {
  char text[128];
  const char* type = S_ISDIR(status.st_mode)   ? "dir"
                     : S_ISREG(status.st_mode) ? "file"
                     : S_ISCHR(status.st_mode) ? "char"
                     : S_ISBLK(status.st_mode) ? "block"
                     : S_ISLNK(status.st_mode) ? "link"
                                               : "other";
  snprintf(text, sizeof text, "%s %o %u:%u %u:%u", type, status.st_mode & 07777, status.st_uid,
           status.st_gid, major(status.st_rdev), minor(status.st_rdev));
  return text;
}

void Stat(const Arguments& arguments) {
  struct stat status;
  const bool follow = arguments[0] == "stat";
  const int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  const int result = fstatat(AT_FDCWD, arguments[1].c_str(), &status, flags);
  Report(arguments[0] + " " + arguments[1], result < 0 ? strerrorname_np(errno) : Describe(status));
}

// The per-mount options of the last mount on this path (proc_pid_mountinfo(5)).
void MountOptions(const Arguments& arguments) {
  FILE* file = fopen("/proc/self/mountinfo", "r");
  char line[8192];
  std::string options = "none";
  while (file != nullptr && fgets(line, sizeof line, file) != nullptr) {
    std::istringstream fields(line);
    std::string id, parent, device, root, point, text;
    fields >> id >> parent >> device >> root >> point >> text;
    if (point == arguments[1]) options = text;
  }
  if (file != nullptr) fclose(file);
  Report("mount-options " + arguments[1], options);
}

void WriteFile(const Arguments& arguments) {
  const int fd = open(arguments[1].c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  long result = fd;
  if (fd >= 0) result = write(fd, arguments[2].data(), arguments[2].size());
  Report("write " + arguments[1], ErrorOr(result));
  if (fd >= 0) close(fd);
}

void Cat(const Arguments&) {
  char buffer[4096];
  ssize_t count;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
    if (write(STDOUT_FILENO, buffer, count) < 0) break;
}

// What follows is reported into this file instead.
void ReportTo(const Arguments& arguments) {
  const int fd = open(arguments[1].c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) return Report("to", strerrorname_np(errno));
  close(fd);
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

void WaitForFile(const Arguments& arguments) {
  while (access(arguments[1].c_str(), F_OK) != 0) usleep(2000);
  Report("wait-file", "ok");
}

void Terminal(const Arguments&) {
  const char* name = ttyname(STDIN_FILENO);
  winsize size{};
  ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
  Report("tty", name == nullptr ? "none" : name);
  Report("size", std::to_string(size.ws_col) + "x" + std::to_string(size.ws_row));
  const int controlling = open("/dev/tty", O_RDWR);
  Report("controlling", ErrorOr(controlling));
}

std::string LinkOf(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length < 0 ? strerrorname_np(errno) : std::string(target, length);
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

const ProbeVerbs& Verbs() {
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
      {"fds", Fds},
      {"env",
       [](const Arguments& a) {
         const char* value = getenv(a[1].c_str());
         Report("env " + a[1], value == nullptr ? "unset" : value);
       }},
      {"ns", [](const Arguments& a) { Report("ns " + a[1], LinkOf("/proc/self/ns/" + a[1])); }},
      {"readlink", [](const Arguments& a) { Report("readlink " + a[1], LinkOf(a[1])); }},
      {"tty", Terminal},
      {"read", [](const Arguments& a) { Report("read " + a[1], ReadText(a[1])); }},
      {"list", ListFolder},
      {"stat", Stat},
      {"lstat", Stat},
      {"mount-options", MountOptions},
      {"write", WriteFile},
      {"open-write",
       [](const Arguments& a) {
         Report("open-write " + a[1], ErrorOr(open(a[1].c_str(), O_WRONLY)));
       }},
      {"mkdir",
       [](const Arguments& a) { Report("mkdir " + a[1], ErrorOr(mkdir(a[1].c_str(), 0755))); }},
      {"mknod",
       [](const Arguments& a) {
         const dev_t device = makedev(atoi(a[2].c_str()), atoi(a[3].c_str()));
         Report("mknod " + a[1], ErrorOr(mknod(a[1].c_str(), S_IFCHR | 0666, device)));
       }},
      {"mount-tmpfs",
       [](const Arguments& a) {
         Report("mount-tmpfs", ErrorOr(mount("tmpfs", a[1].c_str(), "tmpfs", 0, "")));
       }},
      {"mount-proc",
       [](const Arguments& a) {
         Report("mount-proc", ErrorOr(mount("proc", a[1].c_str(), "proc", 0, "")));
       }},
      {"umount",
       [](const Arguments& a) {
         Report("umount " + a[1], ErrorOr(umount2(a[1].c_str(), MNT_DETACH)));
       }},
      {"remount-writable",
       [](const Arguments& a) {
         Report("remount-writable " + a[1],
                ErrorOr(mount(nullptr, a[1].c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr)));
       }},
      {"chown",
       [](const Arguments& a) {
         Report("chown " + a[1],
                ErrorOr(chown(a[1].c_str(), atoi(a[2].c_str()), atoi(a[3].c_str()))));
       }},
      {"pry", Pry},
      {"echo", [](const Arguments& a) { Report("echo", a[1]); }},
      {"err",
       [](const Arguments& a) {
         [[maybe_unused]] auto written = write(STDERR_FILENO, a[1].data(), a[1].size());
       }},
      {"stdout-again",
       [](const Arguments&) { Report("stdout-again", ErrorOr(open("/dev/stdout", O_WRONLY))); }},
      {"cat", Cat},
      {"to", ReportTo},
      {"stdin", [](const Arguments&) { Report("stdin", ReadText("/proc/self/fd/0")); }},
      {"sleep", [](const Arguments& a) { usleep(atoi(a[1].c_str()) * 1000); }},
      {"forever", Forever},
      {"wait-file", WaitForFile},
      {"exit", [](const Arguments& a) { _exit(atoi(a[1].c_str())); }},
      {"kill-self", [](const Arguments& a) { kill(getpid(), atoi(a[1].c_str())); }},
      {"on-term",
       [](const Arguments&) {
         signal(SIGTERM, [](int) { _exit(42); });
         Report("on-term", "ok");
       }},
      {"allocate", Allocate},
      {"open",
       [](const Arguments& a) {
         for (int i = 0; i < atoi(a[1].c_str()); ++i)
           if (open("/probe", O_RDONLY) < 0) return Report("open", strerrorname_np(errno));
         Report("open", "ok");
       }},
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
  };
  return verbs;
}

}  // namespace

void ReportFromProbe(const std::string& key, const std::string& value) {
  const std::string line = key + "=" + value + "\n";
  [[maybe_unused]] auto written = write(STDOUT_FILENO, line.data(), line.size());
}

int RunProbe(int argc, char** argv, const ProbeVerbs& more) {
  ProbeVerbs verbs = Verbs();
  verbs.insert(more.begin(), more.end());
  for (int i = 1; i < argc; ++i) {
    Arguments arguments;
    std::istringstream stream(argv[i]);
    std::string part;
    while (std::getline(stream, part, ':')) arguments.push_back(part);
    const auto found = verbs.find(arguments.at(0));
    if (found == verbs.end()) {
      Report("unknown", argv[i]);
      return 99;
    }
    arguments.resize(std::max<size_t>(arguments.size(), 4));
    found->second(arguments);
  }
  return 0;
}

}  // namespace catamaran
