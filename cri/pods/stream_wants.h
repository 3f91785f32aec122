#pragma once

#include "cri/streaming/stream_target.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What Exec and Attach ask for. kInvalidArgument naming the fields where that is nothing, or
// standard error beside a terminal, which has none.
template <typename Request>
Result<StreamWants> ReadStreamWants(const Request& request) {
  const StreamWants wants{.in = request.stdin(),
                          .out = request.stdout(),
                          .err = request.stderr(),
                          .terminal = request.tty()};
  if (!wants.in && !wants.out && !wants.err)
    return Fail(ErrorCode::kInvalidArgument, "stdin, stdout, stderr: one of them must be true");
  if (wants.terminal && wants.err) {
    return Fail(ErrorCode::kInvalidArgument,
                "stderr: true together with tty: a terminal's output is one stream, stdout");
  }
  return wants;
}

}  // namespace catamaran
