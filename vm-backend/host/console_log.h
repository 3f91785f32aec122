#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// The last few KiB that a machine's console, and QEMU itself, have said: what a failure is
// explained with. A guest that floods its console is read in gulps with pauses in between, so it
// costs little memory and little time.
class ConsoleLog {
 public:
  static Result<std::unique_ptr<ConsoleLog>> Create(EventLoop& loop, UniqueFd stream);

  // The last lines, printable characters only, at most `limit` bytes. Reads what is waiting.
  std::string Tail(size_t limit = 1024);

 private:
  ConsoleLog(EventLoop& loop, UniqueFd stream) : loop_(loop), stream_(std::move(stream)) {}
  void Read();
  void Gulp();

  EventLoop& loop_;
  UniqueFd stream_;
  EventLoop::Watch watch_;
  EventLoop::Watch pause_;
  std::string text_;
};

}  // namespace catamaran
