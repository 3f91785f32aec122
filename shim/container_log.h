#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/event_loop.h"
#include "shim/attached_outputs.h"
#include "shim/log_format.h"

namespace catamaran {

// One container's output on its way into its log file: reads the two pipes and writes whole
// records, many with one write(2). Lives in the log process, where writing may block.
//
// What cannot be written (a full disk) is dropped, never kept: the container goes on.
// A record that was written in part is taken back.
class ContainerLog {
 public:
  // An empty path: read and drop. Fails where the file cannot be opened, and without waiting where
  // something else than a regular file is there (kFailedPrecondition).
  static Result<std::unique_ptr<ContainerLog>> Open(EventLoop& loop, std::string path, UniqueFd out,
                                                    UniqueFd err);

  // After the death of the process that wrote this log: takes back a record that it wrote in part,
  // and says in the log, on standard error, that output may be missing here. What the dead process
  // had read, at most 64 KiB a stream and the beginning of a line, is lost.
  void TellOfGap();

  // Afterwards every byte goes to a new file at the path, which exists. Where it cannot be opened
  // the old one stays in use.
  Status Reopen();
  // From now on also to these, where they are valid.
  Status Attach(UniqueFd out, UniqueFd err);
  // The container has ended: writes what the pipes hold now, also a line without its end, and ends
  // what is attached.
  void Drain();

 private:
  struct Stream {
    Stream(EventLoop& loop, std::string_view name)
        : formatter(name), attached(loop, [this] { SetReading(true); }) {}
    void SetReading(bool on);
    UniqueFd fd;
    EventLoop::Watch watch;
    LogFormatter formatter;
    AttachedOutputs attached;
  };

  ContainerLog(EventLoop& loop, std::string path)
      : loop_(loop), path_(std::move(path)), out_(loop, "stdout"), err_(loop, "stderr") {}
  Status Watch(Stream& stream, UniqueFd fd);
  // Reads once; false at the end of the stream, or where nothing is there.
  bool ReadOnce(Stream& stream, size_t limit, size_t* count);
  void DrainStream(Stream& stream);
  void WriteRecords();
  void CutTornRecord();

  EventLoop& loop_;
  const std::string path_;
  UniqueFd file_;
  Stream out_, err_;
  std::string records_;  // reused
};

}  // namespace catamaran
