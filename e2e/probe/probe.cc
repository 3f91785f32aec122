// probe: what busybox cannot do for a scenario, run inside containers. Static, no libraries.
//
//   probe random              32 bytes of getrandom(2), in hexadecimal
//   probe clock PORT          answers each datagram to UDP port PORT with its clock: nanoseconds
//                             since the epoch, in decimal
//   probe lines LEAST STOP    prints numbered lines: LEAST of them, and on until the file STOP
//                             exists; their number goes to standard error
//   probe huge BYTES          maps BYTES of 2 MiB huge pages and writes to each
//   probe watch FOLDER NAME   says "watching", and "moved NAME" once inotify(7) tells of that
//   probe pairs FOLDER LAST   reads the files a and b of FOLDER until they say LAST; prints how
//                             often they differed in one opening of it
//   probe features FOLDER     tries what file systems can do, one line each (file_features.h)
//   probe is-root             its exit code is 0 where it runs as root
//   probe hold FILES SOCKETS THREADS CHILDREN MEBIBYTES
//                             has so many of them open, running, in use until it is ended
//                             (holdings.h)
//   probe count FILE TIMES KIND, append FILE TIMES WORD, serve SOCKET, connect SOCKET
//                             what containers do together (shared_files.h)
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "e2e/probe/file_features.h"
#include "e2e/probe/holdings.h"
#include "e2e/probe/numbered_line.h"
#include "e2e/probe/shared_files.h"

namespace catamaran::e2e {
namespace {

int Random() {
  unsigned char bytes[32];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return 1;
  for (const unsigned char byte : bytes) printf("%02x", byte);
  printf("\n");
  return 0;
}

int Clock(int port) {
  const int server = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (bind(server, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
  for (;;) {
    char question[64], answer[32];
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    if (recvfrom(server, question, sizeof question, 0, reinterpret_cast<sockaddr*>(&peer),
                 &length) < 0)
      return 1;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const int size = snprintf(answer, sizeof answer, "%lld",
                              static_cast<long long>(now.tv_sec) * 1'000'000'000 + now.tv_nsec);
    sendto(server, answer, size, 0, reinterpret_cast<sockaddr*>(&peer), length);
  }
}

int Lines(uint64_t least, const char* stop) {
  constexpr uint64_t kBatch = 1000;
  constexpr size_t kWhole = kNumberedLineSize + 1;
  constexpr uint64_t kMost = 8'000'000;  // whoever should make the file may have died
  static char batch[kBatch * kWhole];
  uint64_t n = 0;
  while (n < kMost && (n < least || access(stop, F_OK) != 0)) {
    for (uint64_t i = 0; i < kBatch; ++i, ++n) {
      WriteNumberedLine(n, batch + i * kWhole);
      batch[i * kWhole + kNumberedLineSize] = '\n';
    }
    for (size_t written = 0; written < sizeof batch;) {
      const ssize_t count = write(STDOUT_FILENO, batch + written, sizeof batch - written);
      if (count <= 0) return 1;
      written += count;
    }
  }
  fprintf(stderr, "%llu\n", static_cast<unsigned long long>(n));
  return 0;
}

int Huge(size_t bytes) {
  constexpr size_t kPage = 2 << 20;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  for (size_t at = 0; at < bytes; at += kPage) static_cast<volatile char*>(memory)[at] = 1;
  printf("%zu bytes\n", bytes);
  return 0;
}

int WatchForMove(const char* folder, const std::string& name) {
  const int watch = inotify_init1(0);
  if (inotify_add_watch(watch, folder, IN_MOVED_TO) < 0) {
    perror(folder);
    return 1;
  }
  printf("watching\n");
  fflush(stdout);
  for (;;) {
    alignas(inotify_event) char events[4096];
    const ssize_t count = read(watch, events, sizeof events);
    if (count <= 0) return 1;
    for (ssize_t at = 0; at < count;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      if (name != event->name) continue;
      printf("moved %s\n", event->name);
      return 0;
    }
  }
}

std::string ReadBelow(int folder, const char* name) {
  const int file = openat(folder, name, O_RDONLY);
  char content[256];
  const ssize_t count = file < 0 ? -1 : read(file, content, sizeof content);
  if (file >= 0) close(file);
  return std::string(content, count < 0 ? 0 : count);
}

int Pairs(const char* path, const std::string& last) {
  int mixed = 0;
  printf("reading\n");
  fflush(stdout);
  for (;;) {
    const int folder = open(path, O_RDONLY | O_DIRECTORY);
    const std::string a = ReadBelow(folder, "a"), b = ReadBelow(folder, "b");
    if (folder >= 0) close(folder);
    if (a.empty() || b.empty()) continue;  // the former folder is gone
    if (a != b) ++mixed;
    if (a == last && b == last) break;
  }
  printf("%d mixed\n", mixed);
  return 0;
}

int Main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "random") return Random();
  if (verb == "clock" && argc == 3) return Clock(atoi(argv[2]));
  if (verb == "lines" && argc == 4) return Lines(strtoull(argv[2], nullptr, 10), argv[3]);
  if (verb == "huge" && argc == 3) return Huge(strtoull(argv[2], nullptr, 10));
  if (verb == "watch" && argc == 4) return WatchForMove(argv[2], argv[3]);
  if (verb == "pairs" && argc == 4) return Pairs(argv[2], argv[3]);
  if (verb == "features" && argc == 3) return TryFileFeatures(argv[2]);
  if (verb == "is-root") return geteuid() == 0 ? 0 : 1;
  if (verb == "hold" && argc == 7)
    return Hold({atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoi(argv[6])});
  if (verb == "count" && argc == 5) return CountUnderLock(argv[2], atoi(argv[3]), argv[4]);
  if (verb == "append" && argc == 5) return AppendLines(argv[2], atoi(argv[3]), argv[4]);
  if (verb == "serve" && argc == 3) return ServeOnce(argv[2]);
  if (verb == "connect" && argc == 3) return ConnectTo(argv[2]);
  fprintf(stderr,
          "probe: random | clock PORT | lines LEAST STOP | huge BYTES | watch FOLDER NAME |\n"
          "       pairs FOLDER LAST | features FOLDER | is-root | count FILE TIMES KIND |\n"
          "       hold FILES SOCKETS THREADS CHILDREN MEBIBYTES |\n"
          "       append FILE TIMES WORD | serve SOCKET | connect SOCKET\n");
  return 2;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) { return catamaran::e2e::Main(argc, argv); }
