#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// A connection to QEMU's monitor (docs/interop/qmp-spec). Commands may be sent at once, before the
// greeting came: QEMU carries them out in order. QEMU is not trusted, because a guest may have
// taken it over: a line is bounded, anything that is not the protocol ends the connection.
// Used on the loop's thread only.
class QmpClient {
 public:
  using Answer = UniqueFunction<void(Result<nlohmann::json>)>;
  using EventHandler = UniqueFunction<void(const std::string& name, const nlohmann::json& data)>;

  static Result<std::unique_ptr<QmpClient>> Create(EventLoop& loop, UniqueFd socket);
  ~QmpClient();

  // Runs a command. `answer` gets what it returned; kInternal with QEMU's words where it refused,
  // kUnavailable where the connection ended, kDeadlineExceeded after `patience`. Never called from
  // within Execute.
  void Execute(const std::string& command, const nlohmann::json& arguments, Answer answer,
               std::chrono::milliseconds patience = std::chrono::seconds(60));
  // Hands QEMU a descriptor (its own copy) under a name for commands that take one, "fd:NAME". The
  // answer is not waited for: a command that misses the descriptor fails itself.
  Status PassDescriptor(const std::string& name, int fd);
  // Hands QEMU a descriptor that it opens as the file "/dev/fdset/SET", again and again in the mode
  // that this one has.
  void PassFile(uint64_t set, UniqueFd file);
  void OnEvent(EventHandler handler);

 private:
  struct Pending {
    std::string command;
    Answer answer;
    EventLoop::Watch timer;
  };

  QmpClient(EventLoop& loop, UniqueFd socket);
  void Readable(uint32_t events);
  void Line(const std::string& line);
  void Add(const std::string& command, const nlohmann::json& arguments, Answer answer,
           std::chrono::milliseconds patience, UniqueFd descriptor);
  void Flush();
  void Close(const std::string& reason);
  void Settle(uint64_t id, Result<nlohmann::json> result);

  EventLoop& loop_;
  UniqueFd socket_;
  EventLoop::Watch watch_;
  std::string input_;
  struct Message {
    std::string rest;     // not sent yet
    UniqueFd descriptor;  // goes with the first byte
  };
  std::deque<Message> output_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, Pending> pending_;
  EventHandler on_event_;
  std::string closed_;  // why; empty while open
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace catamaran
