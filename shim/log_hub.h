#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "sandbox/protocol/message_channel.h"
#include "shim/log_process.pb.h"

namespace catamaran {

// The shim's side of its log process: starts it with the first container, hands it every
// container's output, and starts it again, with all that was open, should it die. Keeps a copy of
// the read ends, so a container never finds its output without a reader. Loop's thread only.
class LogHub {
 public:
  explicit LogHub(EventLoop& loop) : loop_(loop) {}
  ~LogHub();

  // Opens the log (path empty: the output is dropped) and reads `out` and `err` from now on.
  void Add(const std::string& container_id, const std::string& path, UniqueFd out, UniqueFd err,
           Done done);
  // Once done, no byte goes to the file that was open before, and the new one exists.
  void Reopen(const std::string& container_id, Done done);
  // From now on the output goes to these too, where they are valid, see attached_outputs.h. They
  // end with the container, and with the log process.
  void Attach(const std::string& container_id, UniqueFd out, UniqueFd err, Done done);
  // Everything that is in the pipes now is in the file. Completes whatever happens to the log:
  // after kDrainLimit at the latest, because a container whose disk hangs has ended all the same.
  static constexpr std::chrono::seconds kDrainLimit{5};
  void Drain(const std::string& container_id, UniqueFunction<void()> done);
  void Remove(const std::string& container_id);
  // Ends the log process after a last drain; `done` once it is gone.
  void Stop(UniqueFunction<void()> done);

 private:
  struct Log {
    std::string path;
    UniqueFd out, err;
    bool resumed = false;  // a log process that wrote it has died
  };
  struct Pending {
    log::LogRequest request;
    Done done;
    EventLoop::Watch limit;  // of a drain
  };

  Status StartProcess();
  void Ask(log::LogRequest::Verb verb, const std::string& container_id, Done done);
  void Await(log::LogRequest request, Done done);
  Status Send(const log::LogRequest& request, std::vector<UniqueFd> fds = {});
  void OnReply(const Message& message);
  void OnProcessEnd();
  void FailPending(const Error& error);

  EventLoop& loop_;
  ChildProcess child_;
  EventLoop::Watch child_watch_, restart_;
  std::unique_ptr<MessageChannel> channel_;
  std::map<std::string, Log> logs_;
  std::map<uint64_t, Pending> pending_;
  uint64_t next_id_ = 1;
  int restarts_ = 0;
  bool stopping_ = false;
  UniqueFunction<void()> on_stopped_;
};

}  // namespace catamaran
