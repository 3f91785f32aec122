#pragma once

#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Reads what a process writes to two pipes into memory, up to a limit that both share: what is
// beyond is read and dropped, so the process never waits and this never grows. Not thread-safe.
class OutputCapture {
 public:
  // The read ends; they are made non-blocking.
  static Result<OutputCapture> Start(UniqueFd out, UniqueFd err, size_t limit);

  // Reads what comes until `wake` is readable, both pipes have ended or the deadline is over.
  // False where the deadline was over.
  Result<bool> ReadUntil(int wake, Deadline deadline);
  // Reads what comes until both pipes have ended or the deadline is over: a child that inherited
  // them may hold them open for ever.
  Status Drain(Deadline deadline);

  bool ended() const { return !out_.fd.valid() && !err_.fd.valid(); }
  std::string TakeOut() { return std::move(out_.bytes); }
  std::string TakeErr() { return std::move(err_.bytes); }

 private:
  struct Stream {
    UniqueFd fd;
    std::string bytes;
  };

  OutputCapture(UniqueFd out, UniqueFd err, size_t limit)
      : out_{std::move(out), {}}, err_{std::move(err), {}}, room_(limit) {}
  Result<bool> ReadOnce(int wake, Deadline deadline, bool* woken);
  Status ReadSome(Stream& stream);

  Stream out_;
  Stream err_;
  size_t room_;
};

}  // namespace catamaran
