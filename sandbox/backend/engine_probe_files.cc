// What the probe sees and does of files and mounts.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "sandbox/backend/engine_probe_verbs.h"

namespace catamaran {
namespace {

using Arguments = std::vector<std::string>;

void Report(const std::string& key, const std::string& value) { ReportFromProbe(key, value); }

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
  Report("write " + arguments[1], ProbeErrorOr(result));
  if (fd >= 0) close(fd);
}

// What follows is reported into this file instead.
void ReportTo(const Arguments& arguments) {
  const int fd = open(arguments[1].c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) return Report("to", strerrorname_np(errno));
  close(fd);
}

void WaitForFile(const Arguments& arguments) {
  while (access(arguments[1].c_str(), F_OK) != 0) usleep(2000);
  Report("wait-file", "ok");
}

}  // namespace

const ProbeVerbs& FileVerbs() {
  static const ProbeVerbs verbs = {
      {"fds", Fds},
      {"readlink", [](const Arguments& a) { Report("readlink " + a[1], ProbeLinkOf(a[1])); }},
      {"read", [](const Arguments& a) { Report("read " + a[1], ProbeReadText(a[1])); }},
      {"list", ListFolder},
      {"stat", Stat},
      {"lstat", Stat},
      {"mount-options", MountOptions},
      {"write", WriteFile},
      {"open-write",
       [](const Arguments& a) {
         Report("open-write " + a[1], ProbeErrorOr(open(a[1].c_str(), O_WRONLY)));
       }},
      {"mkdir",
       [](const Arguments& a) {
         Report("mkdir " + a[1], ProbeErrorOr(mkdir(a[1].c_str(), 0755)));
       }},
      {"mknod",
       [](const Arguments& a) {
         const dev_t device = makedev(atoi(a[2].c_str()), atoi(a[3].c_str()));
         Report("mknod " + a[1], ProbeErrorOr(mknod(a[1].c_str(), S_IFCHR | 0666, device)));
       }},
      {"mount-tmpfs",
       [](const Arguments& a) {
         Report("mount-tmpfs", ProbeErrorOr(mount("tmpfs", a[1].c_str(), "tmpfs", 0, "")));
       }},
      {"mount-proc",
       [](const Arguments& a) {
         Report("mount-proc", ProbeErrorOr(mount("proc", a[1].c_str(), "proc", 0, "")));
       }},
      {"umount",
       [](const Arguments& a) {
         Report("umount " + a[1], ProbeErrorOr(umount2(a[1].c_str(), MNT_DETACH)));
       }},
      {"remount-writable",
       [](const Arguments& a) {
         Report("remount-writable " + a[1],
                ProbeErrorOr(mount(nullptr, a[1].c_str(), nullptr, MS_REMOUNT | MS_BIND, nullptr)));
       }},
      {"chown",
       [](const Arguments& a) {
         Report("chown " + a[1],
                ProbeErrorOr(chown(a[1].c_str(), atoi(a[2].c_str()), atoi(a[3].c_str()))));
       }},
      {"stdout-again",
       [](const Arguments&) {
         Report("stdout-again", ProbeErrorOr(open("/dev/stdout", O_WRONLY)));
       }},
      {"to", ReportTo},
      {"wait-file", WaitForFile},
      {"open",
       [](const Arguments& a) {
         for (int i = 0; i < atoi(a[1].c_str()); ++i)
           if (open("/probe", O_RDONLY) < 0) return Report("open", strerrorname_np(errno));
         Report("open", "ok");
       }},
  };
  return verbs;
}

}  // namespace catamaran
