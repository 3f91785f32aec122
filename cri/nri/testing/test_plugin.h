#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/nri/methods.h"
#include "cri/nri/ttrpc_connection.h"

namespace catamaran {

// A plugin of the Node Resource Interface, for tests: it writes down what it is told, and answers
// as the test says. Thread-safe.
class TestPlugin {
 public:
  struct Event {
    std::string method;
    nri::EventRequest request;  // pod and container, which all methods name alike
    std::string payload;
  };
  struct Options {
    std::string index = "10";
    std::string name = "test";
    // All but validation, which is for plugins that forbid; 0: all.
    int32_t events = kEveryNriEvent & ~BitOf(nri::VALIDATE_CONTAINER_ADJUSTMENT);
    // Answers a call instead of an empty message; called for every method. May block and fail.
    std::function<Result<std::string>(const std::string& method, const std::string& payload)>
        answer;
    bool registers = true;
  };

  // Connects to a runtime's socket and registers; ready once it was synchronized.
  static Result<std::unique_ptr<TestPlugin>> Connect(const std::string& socket, Options options);
  // The same over a socket that is there already.
  static Result<std::unique_ptr<TestPlugin>> Begin(UniqueFd socket, Options options);

  bool WaitUntilReady(Deadline deadline);
  bool WaitUntilClosed(Deadline deadline);
  bool WaitFor(const std::string& method, Deadline deadline);

  std::vector<Event> events() const;
  // The methods of the events that concern this container, or this pod and none of its containers.
  std::vector<std::string> MethodsOf(const std::string& id) const;
  // All parts of what it was synchronized with, and how many they were.
  nri::SynchronizeRequest synchronized() const;
  int synchronize_parts() const;
  std::string config() const;

  Result<nri::UpdateContainersResponse> Update(const nri::UpdateContainersRequest& request,
                                               Deadline deadline);
  void Close() { connection_->Close(); }
  bool closed() const { return connection_->closed(); }

 private:
  explicit TestPlugin(Options options) : options_(std::move(options)) {}
  Result<std::string> Serve(const std::string& method, const std::string& payload);
  Result<std::string> DefaultAnswer(const std::string& method, const std::string& payload);

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  nri::SynchronizeRequest synchronized_;
  int parts_ = 0;
  bool ready_ = false;
  bool closed_ = false;
  std::string config_;
  std::unique_ptr<TtrpcConnection> connection_;
};

}  // namespace catamaran
