#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/host/vmm_confinement.h"

namespace catamaran {

// How a child of the shim is started.
struct VmmCommand {
  std::vector<std::string> arguments;  // first one is the program's path
  // Descriptors it gets, as the number they have there. It gets no others.
  struct Passed {
    int number = 0;
    int fd = -1;
  };
  std::vector<Passed> descriptors;
  int output = -1;  // becomes its stdout and stderr; -1: the shim's
  // No transparent huge pages (prctl(2), PR_SET_THP_DISABLE): for a program that asks for them
  // where it touches a page here and there.
  bool small_pages = false;
  // Absent: it shares everything with the shim.
  std::optional<VmmConfinement> confinement;
};

// A VMM, or a local agent: dies with the process that started it (PR_SET_PDEATHSIG). Its end is
// watched on the loop. Destroying this kills and reaps it.
class VmmProcess {
 public:
  // `ended` runs once, on the loop, unless this is destroyed before.
  static Result<std::unique_ptr<VmmProcess>> Start(EventLoop& loop, const VmmCommand& command,
                                                   UniqueFunction<void(ProcessEnd)> ended);
  ~VmmProcess();

  // Sends SIGKILL; `ended` tells when it is gone.
  Status Kill();
  // SIGSTOP and SIGCONT: while it is suspended it uses no processor, and answers nothing. Kill
  // works all the same.
  Status Suspend();
  Status Resume();
  pid_t pid() const { return child_.pid; }

 private:
  VmmProcess() = default;
  ChildProcess child_;
  EventLoop::Watch watch_;
  bool reaped_ = false;
};

}  // namespace catamaran
