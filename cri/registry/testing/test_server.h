#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// An HTTP/1.1 server of a test, on a loopback port of its own: a thread and one request for each
// connection. What it answers is the test's, byte by byte, so it can lie, cut and hang.
class TestServer {
 public:
  struct Request {
    std::string method;
    std::string target;                          // "/v2/a/blobs/sha256:...?ns=x"
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
    std::string text;  // as it came

    std::string Header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
    bool Asks(const std::string& part) const { return target.find(part) != std::string::npos; }
  };
  struct Answer {
    std::string bytes;                            // head and body
    bool hang = false;                            // keeps the connection open afterwards
    std::chrono::milliseconds between_blocks{0};  // sends 64 KiB at a time with such pauses
  };
  using Handler = std::function<Answer(const Request&)>;

  explicit TestServer(Handler handler);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + address(); }
  // What was asked so far.
  std::vector<Request> requests() const;
  int Count(const std::string& part) const;  // requests whose target holds `part`

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  UniqueFd listening_;
  int port_ = 0;
  mutable std::mutex mutex_;
  bool ending_ = false;
  std::vector<Request> requests_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread accepting_;
};

// "HTTP/1.1 STATUS x" with these header lines ("Name: value\r\n"), the length and the body.
TestServer::Answer AnswerWith(int status, const std::string& body = "",
                              const std::string& header_lines = "");

// Hands the request to the server on this loopback port and returns its answer as it came.
TestServer::Answer Forward(const TestServer::Request& request, int port);
// An answer's head, up to and with the empty line.
size_t HeadSize(const std::string& answer);

}  // namespace catamaran
