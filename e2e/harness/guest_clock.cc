#include "e2e/harness/guest_clock.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <ctime>
#include <optional>

#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {
namespace {

constexpr std::chrono::nanoseconds kGoodEnough = std::chrono::milliseconds(2);

int64_t Now(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// One question and its answer; nothing where none comes within a second.
std::optional<ClockReading> AskOnce(int socket_fd) {
  // Late answers to earlier questions would look quick.
  char answer[64] = {};
  while (recv(socket_fd, answer, sizeof answer - 1, MSG_DONTWAIT) >= 0) continue;
  const int64_t began = Now(CLOCK_MONOTONIC), began_at = Now(CLOCK_REALTIME);
  if (send(socket_fd, "?", 1, 0) < 0) return {};
  pollfd waiting{socket_fd, POLLIN, 0};
  if (poll(&waiting, 1, 1000) <= 0) return {};
  const ssize_t size = recv(socket_fd, answer, sizeof answer - 1, 0);
  if (size <= 0) return {};
  const int64_t taken = Now(CLOCK_MONOTONIC) - began;
  answer[size] = '\0';
  const int64_t theirs = strtoll(answer, nullptr, 10);
  return ClockReading{std::chrono::nanoseconds(theirs - (began_at + taken / 2)),
                      std::chrono::nanoseconds(taken / 2)};
}

}  // namespace

Result<ClockReading> ReadClockOf(const std::string& ip, int port, std::chrono::seconds limit) {
  UniqueFd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1)
    return Fail(ErrorCode::kInvalidArgument, "'{}' is no IPv4 address", ip);
  if (connect(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return FailWithErrno("connect to {}", ip);
  const auto end = std::chrono::steady_clock::now() + limit;
  std::optional<ClockReading> best;
  while (std::chrono::steady_clock::now() < end && (!best || best->error > kGoodEnough)) {
    const auto reading = AskOnce(socket_fd.get());
    if (reading && (!best || reading->error < best->error)) best = reading;
  }
  if (!best) return Fail(ErrorCode::kDeadlineExceeded, "no clock answers at {}:{}", ip, port);
  return *best;
}

}  // namespace catamaran::e2e
