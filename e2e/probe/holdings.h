#pragma once

namespace catamaran::e2e {

// What a process can hold that statistics count.
struct Holdings {
  int files = 0;
  int sockets = 0;
  int threads = 0;    // beside the first
  int children = 0;   // processes beside this one, which inherit nothing
  int mebibytes = 0;  // of anonymous memory, written to
};

// Takes all that, says "holding" and keeps it until a signal ends the process.
int Hold(const Holdings& holdings);

}  // namespace catamaran::e2e
