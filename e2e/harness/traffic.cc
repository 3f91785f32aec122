#include "e2e/harness/traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <filesystem>
#include <vector>

#include "e2e/harness/daemon.h"
#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {
namespace {

constexpr char kLink[] = "e2e-other";

Result<UniqueFd> Connect(const std::string& ip, uint16_t port) {
  const bool v6 = ip.find(':') != std::string::npos;
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{5, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in four{};
  sockaddr_in6 six{};
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  four.sin_port = six.sin6_port = htons(port);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, ip.c_str(),
                v6 ? static_cast<void*>(&six.sin6_addr) : &four.sin_addr) != 1)
    return Fail(ErrorCode::kInvalidArgument, "{} is no address", ip);
  const auto* address =
      v6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  if (connect(fd.get(), address, v6 ? sizeof six : sizeof four) != 0)
    return FailWithErrno("connect to {} {}", ip, port);
  return fd;
}

void Ip(const std::vector<std::string>& words, std::string* error) {
  std::vector<std::string> command{"/usr/sbin/ip"};
  command.insert(command.end(), words.begin(), words.end());
  const auto done = RunProgram(command);
  if (done.exit_code != 0 && error->empty()) *error = done.output;
}

}  // namespace

std::string ReadFrom(const std::string& ip, uint16_t port) {
  const auto fd = Connect(ip, port);
  if (!fd) return "";
  std::string text;
  char buffer[64];
  for (ssize_t size; text.size() < sizeof buffer &&
                     (size = read(fd->get(), buffer, sizeof buffer - text.size())) > 0;)
    text.append(buffer, static_cast<size_t>(size));
  return text;
}

Result<Seconds> TimeDownload(const std::string& ip, uint16_t port, uint64_t bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, Connect(ip, port));
  const auto begin = std::chrono::steady_clock::now();
  char buffer[65536];
  uint64_t came = 0;
  for (ssize_t size; (size = read(fd.get(), buffer, sizeof buffer)) > 0;)
    came += static_cast<uint64_t>(size);
  if (came != bytes) return Fail(ErrorCode::kDataLoss, "{} of {} bytes came", came, bytes);
  return std::chrono::steady_clock::now() - begin;
}

Result<Seconds> TimeUpload(const std::string& ip, uint16_t port, uint64_t bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, Connect(ip, port));
  const auto begin = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(WriteAll(fd.get(), std::string(bytes, 'x')));
  shutdown(fd.get(), SHUT_WR);
  char answer[64] = {};
  const ssize_t size = read(fd.get(), answer, sizeof answer - 1);
  if (size <= 0 || std::to_string(bytes) + "\n" != answer)
    return Fail(ErrorCode::kDataLoss, "the server counts \"{}\" of {} bytes", answer, bytes);
  return std::chrono::steady_clock::now() - begin;
}

OtherMachine::OtherMachine() {
  const auto made = StartProgram({"/usr/bin/unshare", "--net", "/bin/busybox", "nc", "-ll", "-p",
                                  std::to_string(kPort), "-e", "/bin/busybox", "echo", "other"},
                                 "/dev/null");
  if (!made) {
    error_ = made.error().message;
    return;
  }
  namespace_ = *made;
  const std::string pid = std::to_string(namespace_);
  const std::string own = std::filesystem::read_symlink("/proc/self/ns/net");
  std::error_code ignored;
  while (std::filesystem::read_symlink("/proc/" + pid + "/ns/net", ignored) == own) usleep(1000);
  Ip({"link", "add", kLink, "type", "veth", "peer", "name", "eth0", "netns", pid}, &error_);
  Ip({"address", "add", std::string(kNodeV4) + "/24", "dev", kLink}, &error_);
  Ip({"address", "add", std::string(kNodeV6) + "/64", "dev", kLink, "nodad"}, &error_);
  Ip({"link", "set", kLink, "up"}, &error_);
  const std::string set_up =
      std::string("ip link set lo up; ip link set eth0 up; ip address add ") + kV4 +
      "/24 dev eth0; ip -6 address add " + kV6 + "/64 dev eth0 nodad && echo up";
  if (Output("PATH=/usr/sbin:/usr/bin:/bin; " + set_up) != "up\n" && error_.empty())
    error_ = "the other machine's own addresses";
}

OtherMachine::~OtherMachine() {
  if (namespace_ == 0) return;
  std::string ignored;
  Ip({"link", "delete", kLink}, &ignored);
  kill(namespace_, SIGKILL);
  waitpid(namespace_, nullptr, 0);
}

std::string OtherMachine::Output(const std::string& script) const {
  return RunProgram({"/usr/bin/nsenter", "--net=/proc/" + std::to_string(namespace_) + "/ns/net",
                     "/bin/sh", "-c", script})
      .output;
}

}  // namespace catamaran::e2e
