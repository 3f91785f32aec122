#include "sandbox/container/port_dialer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <optional>

#include "sandbox/kernel/process.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kPatience(10);

Result<UniqueFd> OpenSocket(int network_fd, int family) {
  std::optional<ScopedNamespace> scope;
  if (network_fd >= 0) {
    ASSIGN_OR_RETURN(scope, ScopedNamespace::Enter(network_fd, CLONE_NEWNET));
  }
  // A socket stays in the namespace it was made in.
  UniqueFd made(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return FailWithErrno("socket");
  return made;
}

}  // namespace

PortDialer::PortDialer(EventLoop& loop, int network_fd, uint16_t port, Dialled done)
    : loop_(loop), network_fd_(network_fd), port_(port), done_(std::move(done)) {
  auto timer = loop_.RunAfter(std::chrono::milliseconds(0), [this] { Try(Family::kV4); });
  if (timer) timer_ = std::move(*timer);
}

Status PortDialer::Connect(Family family) {
  ASSIGN_OR_RETURN(socket_, OpenSocket(network_fd_, family == Family::kV4 ? AF_INET : AF_INET6));
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port_);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port_);
  v6.sin6_addr = in6addr_loopback;
  const int connected =
      family == Family::kV4
          ? connect(socket_.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4)
          : connect(socket_.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  if (connected != 0 && errno != EINPROGRESS) return FailWithErrno("connect");
  ASSIGN_OR_RETURN(watch_,
                   loop_.WatchFd(socket_.get(), EPOLLOUT, [this](uint32_t) { OnConnected(); }));
  return {};
}

void PortDialer::Try(Family family) {
  family_ = family;
  auto timer = loop_.RunAfter(kPatience, [this] {
    Next(Error{ErrorCode::kDeadlineExceeded, ETIMEDOUT, "no answer"});
  });
  if (timer) timer_ = std::move(*timer);
  if (auto connecting = Connect(family); !connecting) Next(std::move(connecting).error());
}

void PortDialer::OnConnected() {
  int error_number = 0;
  socklen_t length = sizeof error_number;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error_number, &length);
  if (error_number != 0) {
    Next(FailErrno(error_number, "connect").value());
    return;
  }
  watch_.Cancel();
  timer_.Cancel();
  auto done = std::move(done_);
  done(std::move(socket_));
}

void PortDialer::Next(Error error) {
  watch_.Cancel();
  timer_.Cancel();
  socket_.Reset();
  if (family_ == Family::kV4) {
    Try(Family::kV6);
    return;
  }
  auto done = std::move(done_);
  done(tl::unexpected(std::move(error).While(fmt::format("dial port {} in the sandbox", port_))));
}

}  // namespace catamaran
