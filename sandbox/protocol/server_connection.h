#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/trace.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/stdio_mux.h"

namespace catamaran {

// One client of a BackendServer.
class BackendServer::Connection {
 public:
  Connection(BackendServer& server, uint64_t id, std::unique_ptr<MessageChannel> channel)
      : server_(server), id_(id), channel_(std::move(channel)) {}

  Status Start();
  void SendEvent(const pod::Event& event);
  bool Idle() const { return channel_->Idle(); }

 private:
  struct Streams {
    uint32_t in = 0;
    std::vector<uint32_t> out;
  };
  // What a completion needs to answer, or to notice that nobody waits any more.
  struct Call {
    std::weak_ptr<int> alive;
    uint64_t session;
    uint64_t id;
    Span span = {};  // of the request as a whole, where the caller traces it
  };

  void OnSession();
  void OnMessage(Message message);
  void Dispatch(pod::Request request, std::vector<UniqueFd> fds);
  bool DispatchToProcess(pod::Request& request, std::vector<UniqueFd>& fds, const Call& call);
  bool DispatchToSandbox(pod::Request& request, const Call& call);
  void Hello(const pod::HelloRequest& request, const Call& call);
  void DialPort(const pod::Request& request, const Call& call);
  void Attach(const pod::Request& request, std::vector<UniqueFd>& fds, const Call& call);
  void Connected(const Call& call, const pod::StdioRef& streams, Result<UniqueFd> socket);
  void Answer(const Call& call, pod::Response response, std::vector<UniqueFd> fds = {});
  void Refuse(const Call& call, const Error& error);
  void Send(MessageType type, std::string body, std::vector<UniqueFd> fds,
            MessageChannel::Order order);

  Done DoneOf(const Call& call);
  // A completion that puts the result where `set` says.
  template <typename T, typename Set>
  Completion<T> CompletionOf(const Call& call, Set set);
  Result<Stdio> TakeStdio(const pod::StdioRef& ref, const std::string& process,
                          std::vector<UniqueFd>& fds);
  void DropStreams(const std::string& process);
  void SendExit(const pod::Event& event);

  BackendServer& server_;
  const uint64_t id_;
  std::unique_ptr<MessageChannel> channel_;
  std::unique_ptr<StdioMux> mux_;
  std::map<std::string, Streams> streams_;  // by ProcessKey
  uint64_t session_ = 0;
  bool greeted_ = false;
  size_t in_flight_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

std::string ProcessKey(const std::string& container_id, const std::string& exec_id);

}  // namespace catamaran
