#pragma once

#include <cstdint>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Which standard streams a client asked for.
struct StreamWants {
  bool in = false, out = false, err = false;
  bool terminal = false;
};

// A process to whose standard streams a client will be connected: one that is to be started (Exec)
// or one that runs (Attach). What a URL stands for; where nobody uses the URL nothing of it is
// called. Used from one thread, which the calls may block for seconds.
class StreamedProcess {
 public:
  struct Ends {
    UniqueFd in;        // written to; invalid where it takes no input
    UniqueFd out, err;  // read from; their end is the end of an attached process
  };

  virtual ~StreamedProcess() = default;
  // Starts it, or attaches. Once, before everything else here; what fails is told to the client.
  virtual Result<Ends> Open() = 0;
  virtual Status Resize(uint16_t columns, uint16_t rows) = 0;
  // The client has ended its input and `in` has been closed.
  virtual void OnInputEnd() = 0;
  // The client is gone before the process has ended.
  virtual void OnClientGone() = 0;
  // Readable once the process has ended; -1 where its end is that of its output.
  virtual int ended_fd() const = 0;
  // After that. kUnavailable where it cannot be known.
  virtual Result<int> ExitCode() = 0;
};

// A pod whose ports a client will reach. As above.
class PortTarget {
 public:
  virtual ~PortTarget() = default;
  // A stream socket, connected to the loopback address of the pod.
  virtual Result<UniqueFd> Dial(uint16_t port) = 0;
};

}  // namespace catamaran
