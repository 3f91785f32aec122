#include "e2e/probe/holdings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

namespace catamaran::e2e {
namespace {

bool TakeMemory(int mebibytes) {
  const size_t bytes = static_cast<size_t>(mebibytes) << 20;
  if (bytes == 0) return true;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  for (size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
  return true;
}

}  // namespace

int Hold(const Holdings& holdings) {
  for (int i = 0; i < holdings.children; ++i) {
    const pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
      for (int fd = 0; fd < 3; ++fd) close(fd);
      for (;;) pause();
    }
  }
  for (int i = 0; i < holdings.files; ++i)
    if (open("/dev/null", O_RDONLY) < 0) return 1;
  for (int i = 0; i < holdings.sockets; ++i)
    if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 1;
  for (int i = 0; i < holdings.threads; ++i)
    std::thread([] {
      for (;;) pause();
    }).detach();
  if (!TakeMemory(holdings.mebibytes)) return 1;
  printf("holding\n");
  fflush(stdout);
  for (;;) pause();
}

}  // namespace catamaran::e2e
