// probe: what busybox cannot do for a scenario, run inside containers. Static, no libraries.
//
//   probe random              32 bytes of getrandom(2), in hexadecimal
//   probe clock PORT          answers each datagram to UDP port PORT with its clock: nanoseconds
//                             since the epoch, in decimal
//   probe lines LEAST STOP    prints numbered lines: LEAST of them, and on until the file STOP
//                             exists; their number goes to standard error
//   probe huge BYTES          maps BYTES of 2 MiB huge pages and writes to each
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "e2e/probe/numbered_line.h"

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

int Main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "random") return Random();
  if (verb == "clock" && argc == 3) return Clock(atoi(argv[2]));
  if (verb == "lines" && argc == 4) return Lines(strtoull(argv[2], nullptr, 10), argv[3]);
  if (verb == "huge" && argc == 3) return Huge(strtoull(argv[2], nullptr, 10));
  fprintf(stderr, "probe: random | clock PORT | lines LEAST STOP | huge BYTES\n");
  return 2;
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) { return catamaran::e2e::Main(argc, argv); }
