#include "vm-backend/volumes/pump_process.h"

#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/fuse_request.h"

namespace catamaran {
namespace {

// Replies are at most one read of kMaxFuseTransfer with its header.
constexpr size_t kMaxReply = kMaxFuseTransfer + sizeof(fuse_out_header);
constexpr size_t kPiece = 64 << 10;

// Memory pressure must not wait for the very process that would relieve it, prctl(2)
// PR_SET_IO_FLUSHER.
void BecomePump(const char* name, const PumpEnds& ends) {
  prctl(PR_SET_NAME, name, 0, 0, 0);
  if (ends.session == 1) InitAbortSteps(name);
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  [[maybe_unused]] const auto protected_from_oom =
      WriteExisting("/proc/self/oom_score_adj", "-1000");
  mlockall(MCL_CURRENT | MCL_FUTURE);
  signal(SIGPIPE, SIG_IGN);
  CloseDescriptorsExcept({0, 1, 2, ends.fuse, ends.port, ends.changed});
}

// Writes all of it; waits where the port is full. False when it is gone.
bool WriteWhole(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count > 0) {
      data.remove_prefix(static_cast<size_t>(count));
    } else if (count < 0 && errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (count < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Some bytes, at least one; 0 where the port is gone. A virtio-serial port whose host is away
// reports the end of the file: a socket's end is final, a port's is not, so a port is asked again.
size_t ReadSome(int fd, bool is_port, std::byte* data, size_t size) {
  while (true) {
    const ssize_t count = read(fd, data, size);
    if (count > 0) return static_cast<size_t>(count);
    if (count == 0) {
      if (!is_port) return 0;
      usleep(20'000);
    } else if (errno == EAGAIN) {
      pollfd readable{fd, POLLIN, 0};
      poll(&readable, 1, -1);
    } else if (errno != EINTR) {
      return 0;
    }
  }
}

std::string_view Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void FailRequest(int fuse, uint64_t unique) {
  fuse_out_header failure{};
  failure.len = sizeof failure;
  failure.error = -EIO;
  failure.unique = unique;
  // ENOENT: it was answered after all, or interrupted.
  [[maybe_unused]] const ssize_t written = write(fuse, &failure, sizeof failure);
}

bool BeginSession(const PumpEnds& ends) {
  // First: the buffer may hold an INIT that was read and no more.
  ends.ledger->TakeUnanswered([&](uint64_t unique) { FailRequest(ends.fuse, unique); });
  AbortStep();
  std::string beginning = ends.session > 1 ? VolumeFraming::Zeros() : "";
  beginning += ends.framing->MarkBytes(VolumeFraming::Mark::kBegin, ends.session);
  if (!ends.ledger->init().empty()) {
    beginning += Text(ends.ledger->init());
    beginning += ends.framing->seal();
  }
  return WriteWhole(ends.port, beginning);
}

// An answer, or the server's word of a change. False where the file system is gone.
bool PassOn(const PumpEnds& ends, std::span<const std::byte> message) {
  fuse_out_header header;
  memcpy(&header, message.data(), sizeof header);
  if (header.unique == 0 && header.error == kVolumesChanged) {
    // A pipe that is full has it already.
    if (ends.changed >= 0) [[maybe_unused]]
      const ssize_t written = write(ends.changed, "c", 1);
    return true;
  }
  // The kernel heard the answer to INIT in an earlier session.
  if (header.unique == ends.ledger->init_unique() && ends.ledger->init_answered()) return true;
  // ENOENT: the request was interrupted meanwhile. ENODEV: unmounted.
  if (write(ends.fuse, message.data(), message.size()) < 0 && errno == ENODEV) return false;
  AbortStep();
  ends.ledger->Answered(header.unique);
  AbortStep();
  return true;
}

}  // namespace

int PumpRequests(const PumpEnds& ends) {
  BecomePump("volumes-out", ends);
  if (!BeginSession(ends)) return kPumpLost;
  const auto buffer = ends.ledger->buffer();
  const std::string_view seal = ends.framing->seal();
  while (true) {
    ends.ledger->ForgetBuffer();
    const ssize_t count = read(ends.fuse, buffer.data(), kMaxFuseRequest);
    // ENOENT: the request was interrupted before it was read. ENODEV: unmounted.
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
    if (count <= 0) return kPumpUnmounted;
    AbortStep();
    while (!ends.ledger->NoteBuffer()) usleep(1000);
    AbortStep();
    memcpy(buffer.data() + count, seal.data(), seal.size());
    if (!WriteWhole(ends.port, Text(buffer.first(static_cast<size_t>(count) + seal.size()))))
      return kPumpLost;
    AbortStep();
  }
}

int PumpReplies(const PumpEnds& ends) {
  BecomePump("volumes-in", ends);
  struct stat status;
  const bool is_port = fstat(ends.port, &status) == 0 && S_ISCHR(status.st_mode);
  VolumeFrameReader reader(*ends.framing, sizeof(fuse_out_header), kMaxReply);
  std::vector<std::byte> piece(kPiece);
  while (true) {
    const size_t count = ReadSome(ends.port, is_port, piece.data(), piece.size());
    if (count == 0) return kPumpLost;
    AbortStep();
    reader.Append(std::span(piece).first(count));
    while (const auto item = reader.Next()) {
      if (!item->message.empty()) {
        if (!PassOn(ends, item->message)) return kPumpUnmounted;
      } else if (item->mark == VolumeFraming::Mark::kBeginAnew) {
        return kPumpLost;
      } else if (item->mark == VolumeFraming::Mark::kBegun && item->session == ends.session) {
        reader.Found();
      }
    }
  }
}

}  // namespace catamaran
