#include "cri/telemetry/scrape.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

constexpr size_t kLargestAnswer = 64 << 20;
constexpr std::string_view kRequest =
    "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";

Result<std::string> ReadToEnd(int socket, Deadline deadline) {
  std::string text;
  std::array<char, 64 << 10> buffer;
  for (;;) {
    pollfd waiting{socket, POLLIN, 0};
    const int left = static_cast<int>(
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.Remaining()).count());
    if (poll(&waiting, 1, left) <= 0)
      return Fail(ErrorCode::kDeadlineExceeded, "no answer in time");
    const ssize_t count = read(socket, buffer.data(), buffer.size());
    if (count < 0) return FailWithErrno("read the answer");
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
    if (text.size() > kLargestAnswer) return Fail(ErrorCode::kResourceExhausted, "too much");
  }
}

}  // namespace

Result<std::string> Scrape(const HostPath& path, Deadline deadline) {
  ASSIGN_OR_RETURN(const UniqueFd socket, ConnectUnix(path.string()));
  if (send(socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kRequest.size()))
    return FailWithErrno("write to {}", path.string());
  ASSIGN_OR_RETURN(std::string answer, ReadToEnd(socket.get(), deadline));
  const size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 200 ") || body == std::string::npos)
    return Fail(ErrorCode::kUnavailable, "{} answers: {}", path.string(),
                answer.substr(0, answer.find('\r')));
  return answer.substr(body + 4);
}

}  // namespace catamaran
