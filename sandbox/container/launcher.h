#pragma once

#include <memory>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/container/mapped_process.h"
#include "sandbox/container/stage_channel.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The parent side of one process's start: clones it, follows its stages on the loop and holds what
// it sent. Destroying it closes the channel; a child that has not been started then ends by itself.
class Launcher {
 public:
  // Runs in the child with its end of the channel; see init.h.
  using Body = UniqueFunction<int(const StageChannel& channel)>;
  using Prepared = UniqueFunction<void(Result<spec::ResolvedUser>)>;
  using Started = UniqueFunction<void(Status)>;
  using Built = UniqueFunction<void()>;

  // `prepared` is called once: the process waits for Start, or its preparation failed and it is
  // about to end. It is not reaped here. Callbacks must not destroy this.
  static Result<std::unique_ptr<Launcher>> Clone(EventLoop& loop, const CloneOptions& options,
                                                 const UserNamespaceEntry& entry, Body body,
                                                 Prepared prepared);

  // To be called right after Clone: what is done when the child says Built. It waits then for
  // Continue.
  void WhenBuilt(Built built) { built_ = std::move(built); }
  Status Continue();

  // Once prepared: `started` is called when the program runs, or with why it could not. The child
  // of an exec does not wait to be told: kTold sends nothing.
  enum class Signal { kSend, kTold };
  void Start(Signal signal, Started started);

  // The process has ended: what it had said before is heard first.
  void Drain();

  ChildProcess TakeProcess() { return std::move(child_); }
  UniqueFd TakeTerminal() { return std::move(terminal_); }
  UniqueFd TakeDevpts() { return std::move(devpts_); }

 private:
  explicit Launcher(StageChannel channel) : channel_(std::move(channel)) {}
  // False once there is nothing more to read now.
  bool OnReadable();
  Status Accept(StageMessage message);
  void OnEnd(Status status);

  StageChannel channel_;
  StageOrder order_;
  ChildProcess child_;
  UniqueFd terminal_;
  UniqueFd devpts_;
  Built built_;
  Prepared prepared_;
  Started started_;
  EventLoop::Watch watch_;
};

}  // namespace catamaran
