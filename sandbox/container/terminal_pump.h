#pragma once

#include <memory>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// Carries bytes between a pseudo-terminal's master and what the caller gave for input and output.
// Bounded: where one side does not read, the other is not read from. Input that ends leaves the
// terminal open.
class TerminalPump {
 public:
  // in and out may be invalid: nothing is typed; what is printed is dropped.
  static Result<std::unique_ptr<TerminalPump>> Start(EventLoop& loop, UniqueFd master, UniqueFd in,
                                                     UniqueFd out);

  Status Resize(uint32_t columns, uint32_t rows);
  void CloseInput();
  // The process has ended: hands over what is still in the terminal, then calls `done` (maybe at
  // once). A reader that takes nothing for 10 s loses the rest.
  void Finish(UniqueFunction<void()> done);

 private:
  explicit TerminalPump(EventLoop& loop) : loop_(loop) {}
  void OnMaster(uint32_t events);
  void ReadMaster();
  void FlushOutput();
  void ReadInput();
  void FlushInput();
  void UpdateWatches();
  void FinishIfDrained();

  EventLoop& loop_;
  UniqueFd master_;
  UniqueFd in_;
  UniqueFd out_;
  std::string typed_;    // read from in, not yet written to the master
  std::string printed_;  // read from the master, not yet written to out
  bool master_ended_ = false;
  bool finishing_ = false;
  UniqueFunction<void()> finished_;
  EventLoop::Watch master_watch_;
  EventLoop::Watch in_watch_;
  EventLoop::Watch out_watch_;
  EventLoop::Watch patience_;
};

}  // namespace catamaran
