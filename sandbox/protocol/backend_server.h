#pragma once

#include <map>
#include <memory>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/protocol/message_channel.h"

namespace catamaran {

// The version both ends speak. A server answers any client from kOldestPodProtocol on; a newer
// client speaks the server's.
inline constexpr uint32_t kPodProtocol = 1;
inline constexpr uint32_t kOldestPodProtocol = 1;

// Serves a SandboxBackend over channels: the shim to every daemon that connects, the agent to the
// shim. Takes the backend's event sink: each event goes to every connection that said hello, and to
// nobody where there is none (List tells what was missed).
//
// Where a channel passes descriptors they are handed to the backend as they are. Over a byte
// stream the server makes pipes, gives their far ends to the backend and carries the bytes; an
// exit is sent only after everything the process had written.
//
// The loop and the backend outlive the server. A connection ends when its peer does not read its
// answers; at most 64 of its requests are carried out at once, the rest wait in the socket.
class BackendServer {
 public:
  struct Options {
    std::string build;
    std::string name;  // of the process, in the spans that answers bring: "shim"
    // Whether hello reads the kernel's boot id. A machine that is to be cloned must not have it
    // read: the kernel makes it up at the first reading, out of a generator that clones share until
    // then.
    bool tells_boot_id = true;
    // Verbs that are no backend's; kUnimplemented where unset.
    UniqueFunction<void(const pod::ReopenLogRequest&, Done)> reopen_log;
    UniqueFunction<void(const pod::AttachRequest&, Stdio, Completion<UniqueFd>)> attach;
    UniqueFunction<void(Done)> shutdown;
    // A connection ended and was dropped; connections() no longer counts it.
    UniqueFunction<void()> on_connection_closed;
  };

  BackendServer(EventLoop& loop, SandboxBackend& backend, Options options);
  ~BackendServer();
  BackendServer(const BackendServer&) = delete;

  Status Serve(std::unique_ptr<MessageChannel> channel);
  size_t connections() const { return connections_.size(); }
  // Everything answered so far was taken by the kernel.
  bool Idle() const;

 private:
  class Connection;
  void Broadcast(const pod::Event& event);
  void Forget(uint64_t id);

  EventLoop& loop_;
  SandboxBackend& backend_;
  Options options_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace catamaran
