#include "e2e/probe/shared_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace catamaran::e2e {
namespace {

bool Lock(int fd, const std::string& kind, bool taken) {
  if (kind == "flock") return flock(fd, taken ? LOCK_EX : LOCK_UN) == 0;
  struct flock lock {};
  lock.l_type = taken ? F_WRLCK : F_UNLCK;
  return fcntl(fd, kind == "ofd" ? F_OFD_SETLKW : F_SETLKW, &lock) == 0;
}

int Complain(const char* what) {
  perror(what);
  return 1;
}

sockaddr_un AddressOf(const char* path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

}  // namespace

int CountUnderLock(const char* file, int times, const char* kind) {
  const int fd = open(file, O_RDWR | O_CREAT, 0666);
  if (fd < 0) return Complain(file);
  for (int i = 0; i < times; ++i) {
    char number[32] = {};
    if (!Lock(fd, kind, true)) return Complain(kind);
    if (pread(fd, number, sizeof number - 1, 0) < 0) return Complain("read");
    const std::string next = std::to_string(atoi(number) + 1);
    if (pwrite(fd, next.data(), next.size(), 0) < 0) return Complain("write");
    if (!Lock(fd, kind, false)) return Complain(kind);
  }
  return 0;
}

int AppendLines(const char* file, int times, const char* word) {
  const int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd < 0) return Complain(file);
  for (int i = 0; i < times; ++i) {
    const std::string line = std::string(word) + " " + std::to_string(i) + "\n";
    if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      return Complain("append");
  }
  return 0;
}

int ServeOnce(const char* path) {
  const sockaddr_un address = AddressOf(path);
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(server, 1) != 0)
    return Complain(path);
  printf("listening\n");
  fflush(stdout);
  if (accept(server, nullptr, nullptr) < 0) return Complain("accept");
  printf("served\n");
  return 0;
}

int ConnectTo(const char* path) {
  const sockaddr_un address = AddressOf(path);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  const bool connected =
      connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  printf("%s\n", connected ? "connected" : strerror(errno));
  return 0;
}

}  // namespace catamaran::e2e
