#include "cri/pods/output_capture.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sandbox/base/files.h"

namespace catamaran {

Result<OutputCapture> OutputCapture::Start(UniqueFd out, UniqueFd err, size_t limit) {
  RETURN_IF_ERROR(SetNonBlocking(out.get()));
  RETURN_IF_ERROR(SetNonBlocking(err.get()));
  return OutputCapture(std::move(out), std::move(err), limit);
}

Result<bool> OutputCapture::ReadUntil(int wake, Deadline deadline) {
  bool woken = false;
  while (!woken) {
    ASSIGN_OR_RETURN(const bool in_time, ReadOnce(wake, deadline, &woken));
    if (!in_time) return false;
  }
  return true;
}

Status OutputCapture::Drain(Deadline deadline) {
  bool woken = false;
  while (!ended()) {
    ASSIGN_OR_RETURN(const bool in_time, ReadOnce(-1, deadline, &woken));
    if (!in_time) break;
  }
  return {};
}

Result<bool> OutputCapture::ReadOnce(int wake, Deadline deadline, bool* woken) {
  // poll ignores negative descriptors: a stream that has ended, no wake.
  std::array<pollfd, 3> fds = {{{out_.fd.valid() ? out_.fd.get() : -1, POLLIN, 0},
                                {err_.fd.valid() ? err_.fd.get() : -1, POLLIN, 0},
                                {wake, POLLIN, 0}}};
  const int ready = poll(fds.data(), fds.size(), static_cast<int>(deadline.Remaining().count()));
  if (ready < 0 && errno != EINTR) return FailWithErrno("poll output");
  if (ready <= 0) return !deadline.expired();
  if (fds[0].revents != 0) RETURN_IF_ERROR(ReadSome(out_));
  if (fds[1].revents != 0) RETURN_IF_ERROR(ReadSome(err_));
  *woken = fds[2].revents != 0;
  // A process that never stops writing would else outlast any deadline.
  return !deadline.expired() || *woken;
}

Status OutputCapture::ReadSome(Stream& stream) {
  std::array<char, 65536> buffer;
  const ssize_t count = read(stream.fd.get(), buffer.data(), buffer.size());
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return FailWithErrno("read output");
  }
  if (count == 0) {
    stream.fd.Reset();
    return {};
  }
  const size_t kept = std::min(room_, static_cast<size_t>(count));
  stream.bytes.append(buffer.data(), kept);
  room_ -= kept;
  return {};
}

}  // namespace catamaran
