#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// A process of FakeBackend (see there for what the arguments mean): reads and writes its
// descriptors on the loop and reports its end once, later, unless it is destroyed first.
class FakeProcess {
 public:
  struct End {
    int exit_code = 0;
    int signal = 0;
    bool oom = false;
  };
  using OnEnd = UniqueFunction<void(End)>;

  FakeProcess(EventLoop& loop, std::vector<std::string> args, Stdio stdio, OnEnd on_end);

  void Signal(int signal);

 private:
  // What is still to be written to one descriptor, made as it is needed.
  struct Output {
    UniqueFd fd;
    EventLoop::Watch watch;
    std::string buffer;
    long next_line = 0;
  };

  void Begin();
  void Pump(Output& output);
  bool Refill(Output& output);
  void CopyInput();
  void Finish(End end);

  EventLoop& loop_;
  const std::vector<std::string> args_;
  UniqueFd in_;
  EventLoop::Watch in_watch_;
  Output out_, err_;
  OnEnd on_end_;
  long lines_ = 0;
  size_t line_length_ = 0;
  bool copies_ = false;
  bool writing_ = false;
  bool finished_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace catamaran
