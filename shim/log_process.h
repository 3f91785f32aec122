#pragma once

#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The body of a shim's log process: a child that reads the containers' output and writes their log
// files, so that a slow disk holds up nothing but the logs (the shim's loop must never wait for
// one, and the shim must stay single-threaded to make namespaces). It serves log::LogRequest on
// the socket until the shim closes it, or dies; then it writes what the pipes still hold and
// returns the process's exit code.
int RunLogProcess(UniqueFd socket);

}  // namespace catamaran
