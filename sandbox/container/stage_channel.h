#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What parent and child of a container's start tell each other, one packet each. The order is
//
//   child:  [Built]            [Descriptor...]  Prepared           [Failed]
//   parent:          Continue                             Start
//
// Built is said only by a child whose container has hooks that run before its root is entered.
// Failed may come instead of any of the child's messages and is the last. After Start the end of
// the stream without Failed means that execve worked: the socket is close-on-exec.
struct StageMessage {
  enum class Kind : uint8_t {
    kDescriptor = 1,  // child: a descriptor, which one is in `name`
    kPrepared = 2,    // child: everything is ready; `user`
    kFailed = 3,      // child: `error`
    kStart = 4,       // parent
    kBuilt = 5,       // child: all mounts and devices are made; waits for Continue
    kContinue = 6,    // parent
  };
  Kind kind = Kind::kFailed;
  std::string name;
  UniqueFd descriptor;
  spec::ResolvedUser user;
  Error error;
};

// One end. Both ends live in trusted code: the channel is closed before the user's program runs.
class StageChannel {
 public:
  struct Ends;
  static Result<Ends> Make();
  explicit StageChannel(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  Status SendDescriptor(const std::string& name, int fd) const;
  Status SendPrepared(const spec::ResolvedUser& user) const;
  Status SendFailed(const Error& error) const;
  Status SendStart() const;
  Status SendBuilt() const;
  Status SendContinue() const;

  // Waits for a packet (the parent's end does not: kUnavailable with EAGAIN). Nothing: the other
  // end is closed.
  Result<std::optional<StageMessage>> Receive() const;

 private:
  Status Send(StageMessage::Kind kind, const std::string& payload, int fd) const;
  UniqueFd fd_;
};

struct StageChannel::Ends {
  StageChannel parent;  // non-blocking
  StageChannel child;
};

// The parent's view of the order above: which message may come now.
class StageOrder {
 public:
  // kInternal for a message out of turn.
  Status Received(StageMessage::Kind kind);
  Status Continued();
  Status Started();
  // Whether the end of the stream now means that the program runs.
  bool ran_at_end() const { return state_ == State::kStarted; }

 private:
  enum class State { kPreparing, kBuilt, kPrepared, kStarted, kFailed };
  State state_ = State::kPreparing;
};

}  // namespace catamaran
