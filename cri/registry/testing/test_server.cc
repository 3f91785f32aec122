#include "cri/registry/testing/test_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "cri/base/text.h"
#include "cri/registry/testing/loopback.h"

namespace catamaran {
namespace {

constexpr size_t kBlock = 64 << 10;

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// The request that starts `text`, once its head and body are there.
bool ParseRequest(const std::string& text, TestServer::Request& request) {
  const size_t head = HeadSize(text);
  if (head == 0) return false;
  const size_t line_end = text.find("\r\n");
  const size_t space = text.find(' ');
  request.method = text.substr(0, space);
  request.target = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
  for (size_t at = line_end + 2; at + 2 < head;) {
    const size_t end = text.find("\r\n", at);
    const size_t colon = text.find(':', at);
    request.headers[ToLower(text.substr(at, colon - at))] = text.substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  const size_t length = strtoul(request.Header("content-length").c_str(), nullptr, 10);
  if (text.size() < head + length) return false;
  request.body = text.substr(head, length);
  request.text = text;
  return true;
}

}  // namespace

size_t HeadSize(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? 0 : end + 4;
}

TestServer::TestServer(Handler handler) : handler_(std::move(handler)) {
  listening_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listening_.get(), generic, size) != 0 || listen(listening_.get(), 128) != 0 ||
      getsockname(listening_.get(), generic, &size) != 0)
    abort();
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

TestServer::~TestServer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listening_.get(), SHUT_RDWR);
  accepting_.join();
  for (auto& thread : threads_) thread.join();
}

void TestServer::Accept() {
  for (;;) {
    const int fd = accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard lock(mutex_);
    if (ending_) {
      close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void TestServer::Serve(int fd) {
  std::string text;
  Request request;
  char buffer[4096];
  while (!ParseRequest(text, request)) {
    const ssize_t count = recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  if (!request.method.empty()) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    const Answer answer = handler_(request);
    std::string_view rest = answer.bytes;
    while (!rest.empty() && SendAll(fd, rest.substr(0, kBlock))) {
      rest.remove_prefix(std::min(rest.size(), kBlock));
      if (answer.between_blocks.count() > 0) std::this_thread::sleep_for(answer.between_blocks);
    }
    // Until the other end goes or the server ends.
    while (answer.hang && recv(fd, buffer, sizeof(buffer), 0) > 0) continue;
  }
  const std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  close(fd);
}

std::vector<TestServer::Request> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int TestServer::Count(const std::string& part) const {
  int count = 0;
  for (const auto& request : requests()) count += request.Asks(part);
  return count;
}

TestServer::Answer AnswerWith(int status, const std::string& body,
                              const std::string& header_lines) {
  return {"HTTP/1.1 " + std::to_string(status) + " x\r\nConnection: close\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n" + header_lines + "\r\n" + body};
}

TestServer::Answer Forward(const TestServer::Request& request, int port) {
  const UniqueFd upstream(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  if (connect(upstream.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return AnswerWith(502);
  std::string text = request.method + " " + request.target + " HTTP/1.1\r\nConnection: close\r\n";
  for (const auto& [name, value] : request.headers)
    if (name != "connection") text += name + ": " + value + "\r\n";
  if (!SendAll(upstream.get(), text + "\r\n" + request.body)) return AnswerWith(502);
  TestServer::Answer answer;
  std::vector<char> buffer(256 << 10);
  for (;;) {
    const ssize_t count = recv(upstream.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return answer;
    answer.bytes.append(buffer.data(), static_cast<size_t>(count));
  }
}

}  // namespace catamaran
