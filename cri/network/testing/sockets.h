#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

// Connections between network namespaces, for tests.
namespace catamaran {

// Socket addresses by text: IPv4 or IPv6.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};
inline Address At(const std::string& text, uint16_t port) {
  Address address;
  if (text.find(':') == std::string::npos) {
    auto* four = reinterpret_cast<sockaddr_in*>(&address.storage);
    *four = {AF_INET, htons(port), {}, {}};
    inet_pton(AF_INET, text.c_str(), &four->sin_addr);
    address.length = sizeof *four;
  } else {
    auto* six = reinterpret_cast<sockaddr_in6*>(&address.storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    inet_pton(AF_INET6, text.c_str(), &six->sin6_addr);
    address.length = sizeof *six;
  }
  return address;
}

// A listening TCP socket; it stays in the namespace of the thread that makes it.
inline Result<UniqueFd> Listen(const std::string& text, uint16_t port) {
  const Address address = At(text, port);
  UniqueFd listener(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;  // of a connection that has just ended the port is in use for a while
  setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) !=
      0)
    return FailWithErrno("bind {}", text);
  if (listen(listener.get(), 5) != 0) return FailWithErrno("listen");
  return listener;
}

// Connects to text:port, and checks that it is this listener that is reached. Returns the address
// the listener sees, or "" where nothing was reached in time.
inline std::string Reach(const UniqueFd& listener, const std::string& text, uint16_t port,
                         int patience_ms = 30000) {
  const Address address = At(text, port);
  const UniqueFd client(
      socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int connected =
      connect(client.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length);
  if (connected != 0 && errno != EINPROGRESS) return "";
  pollfd ready{listener.get(), POLLIN, 0};
  if (poll(&ready, 1, patience_ms) != 1) return "";
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const UniqueFd server(accept(listener.get(), reinterpret_cast<sockaddr*>(&from), &length));
  char seen[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET)
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&from)->sin_addr, seen, sizeof seen);
  else
    inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&from)->sin6_addr, seen, sizeof seen);
  // Bytes both ways, so that it is a whole connection.
  char byte = 0;
  ready = {client.get(), POLLOUT, 0};
  if (poll(&ready, 1, patience_ms) != 1 || write(client.get(), "a", 1) != 1) return "";
  if (read(server.get(), &byte, 1) != 1 || write(server.get(), "b", 1) != 1) return "";
  ready = {client.get(), POLLIN, 0};
  if (poll(&ready, 1, patience_ms) != 1 || read(client.get(), &byte, 1) != 1) return "";
  return byte == 'b' ? seen : "";
}

}  // namespace catamaran
