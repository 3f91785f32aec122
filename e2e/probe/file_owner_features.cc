// Owners, modes and times, and what all tries share.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "e2e/probe/feature_tries.h"

namespace catamaran::e2e {

int Create(const char* name, std::string_view content, int flags) {
  const int fd = open(name, flags | O_CREAT | O_TRUNC, 0644);
  if (fd >= 0 && !content.empty() && write(fd, content.data(), content.size()) < 0) return -1;
  return fd;
}
std::string Content(const char* name) {
  const int fd = open(name, O_RDONLY);
  char bytes[4096];
  const ssize_t count = fd < 0 ? 0 : read(fd, bytes, sizeof bytes);
  if (fd >= 0) close(fd);
  return std::string(bytes, count < 0 ? 0 : count);
}
// What another process gets; its exit code is the outcome, 255 for kWrong.
int InChild(Feature feature) {
  const pid_t child = fork();
  if (child == 0) _exit(feature() & 255);
  int status = 0;
  waitpid(child, &status, 0);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
  return code == 255 ? kWrong : code;
}

int Owner() {
  Create("f");
  struct stat status;
  if (chown("f", 1234, 2345) != 0 || stat("f", &status) != 0) return errno;
  if (status.st_uid != 1234 || status.st_gid != 2345) return kWrong;
  if (symlink("f", "l") != 0 || lchown("l", 77, 88) != 0 || lstat("l", &status) != 0) return errno;
  return Outcome(status.st_uid == 77 && status.st_gid == 88);
}

int CreatedByAnotherUser() {
  if (chmod(".", 0777) != 0) return errno;
  const int made = InChild([] {
    if (setgid(2345) != 0 || setuid(1234) != 0) return errno;
    if (Create("f", "x") < 0 || mkdir("d", 0755) != 0 || symlink("f", "l") != 0) return errno;
    return 0;
  });
  if (made != 0) return made;
  for (const char* name : {"f", "d", "l"}) {
    struct stat status;
    if (lstat(name, &status) != 0) return errno;
    if (status.st_uid != 1234 || status.st_gid != 2345) return kWrong;
  }
  return 0;
}

int SetGroupIdFolder() {
  if (mkdir("d", 0755) != 0 || chown("d", 0, 3456) != 0 || chmod("d", 02755) != 0) return errno;
  Create("d/f");
  mkdir("d/below", 0755);
  struct stat file, below;
  if (stat("d/f", &file) != 0 || stat("d/below", &below) != 0) return errno;
  return Outcome(file.st_gid == 3456 && below.st_gid == 3456 && (below.st_mode & S_ISGID) != 0);
}

int SetIdBits() {
  Create("f");
  struct stat status;
  if (chmod("f", 06755) != 0 || stat("f", &status) != 0) return errno;
  if ((status.st_mode & 07777) != 06755) return kWrong;
  if (chown("f", 1, 1) != 0 || stat("f", &status) != 0) return errno;
  return Outcome((status.st_mode & 06000) == 0);
}

int DeniesOthers() {
  Create("f", "secret");
  if (chmod("f", 0600) != 0 || chmod(".", 0755) != 0) return errno;
  return InChild([] {
    if (setgid(2345) != 0 || setuid(1234) != 0) return errno;
    if (open("f", O_RDONLY) >= 0 || errno != EACCES) return kWrong;
    return Outcome(open("new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
  });
}

int Times() {
  Create("f");
  const timespec times[2] = {{1000, 123456789}, {2000, 987654321}};
  struct stat status;
  if (utimensat(AT_FDCWD, "f", times, 0) != 0 || stat("f", &status) != 0) return errno;
  return Outcome(status.st_mtim.tv_sec == 2000 && status.st_mtim.tv_nsec == 987654321);
}

}  // namespace catamaran::e2e
