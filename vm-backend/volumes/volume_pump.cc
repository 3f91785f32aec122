#include "vm-backend/volumes/volume_pump.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "sandbox/base/files.h"
#include "vm-backend/volumes/fuse_request.h"

namespace catamaran {
namespace {

// Replies are at most one read of kMaxFuseTransfer with its header.
constexpr size_t kMaxReply = kMaxFuseTransfer + sizeof(fuse_out_header);

// Writes all of it; waits where the port is full. False when it is gone.
bool WriteWhole(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t count = write(fd, data, size);
    if (count > 0) {
      data += count;
      size -= count;
    } else if (count < 0 && errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (count < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Reads all of it. A virtio-serial port whose host is away reports the end of the file: a socket's
// end is final, a port's is not, so a port is asked again.
bool ReadWhole(int fd, bool is_port, char* data, size_t size) {
  while (size > 0) {
    const ssize_t count = read(fd, data, size);
    if (count > 0) {
      data += count;
      size -= count;
    } else if (count == 0) {
      if (!is_port) return false;
      usleep(20'000);
    } else if (errno == EAGAIN) {
      pollfd readable{fd, POLLIN, 0};
      poll(&readable, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

int PumpRequests(int fuse, int port) {
  std::vector<char> request(kMaxFuseRequest);
  while (true) {
    const ssize_t count = read(fuse, request.data(), request.size());
    // ENOENT: the request was interrupted before it was read. ENODEV: unmounted.
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
    if (count <= 0) return 0;
    if (!WriteWhole(port, request.data(), count)) return 1;
  }
}

int PumpReplies(int fuse, int port, bool is_port) {
  std::vector<char> reply(kMaxReply);
  while (true) {
    fuse_out_header header;
    if (!ReadWhole(port, is_port, reply.data(), sizeof header)) return 1;
    memcpy(&header, reply.data(), sizeof header);
    if (header.len < sizeof header || header.len > reply.size()) return 1;
    if (!ReadWhole(port, is_port, reply.data() + sizeof header, header.len - sizeof header))
      return 1;
    // ENOENT: the request was interrupted meanwhile. ENODEV: unmounted.
    if (write(fuse, reply.data(), header.len) < 0 && errno == ENODEV) return 0;
  }
}

// Memory pressure must not wait for the very process that would relieve it, prctl(2)
// PR_SET_IO_FLUSHER.
void BecomePump(const char* name, int first, int second) {
  prctl(PR_SET_NAME, name, 0, 0, 0);
  prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  [[maybe_unused]] const auto protected_from_oom =
      WriteExisting("/proc/self/oom_score_adj", "-1000");
  mlockall(MCL_CURRENT | MCL_FUTURE);
  signal(SIGPIPE, SIG_IGN);
  const int low = std::min(first, second);
  const int high = std::max(first, second);
  if (low > 3) close_range(3, low - 1, 0);
  if (high - low > 1) close_range(low + 1, high - 1, 0);
  close_range(high + 1, ~0u, 0);
}

}  // namespace

Result<VolumePump> StartVolumePump(UniqueFd port, const GuestPath& mountpoint) {
  ASSIGN_OR_RETURN(auto fuse, OpenFile("/dev/fuse", O_RDWR));
  const std::string options = fmt::format(
      "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,"
      "max_read={}",
      fuse.get(), kMaxFuseTransfer);
  if (mount("catamaran-volumes", mountpoint.c_str(), "fuse", MS_NOSUID | MS_NODEV,
            options.c_str()) != 0)
    return FailWithErrno("mount fuse at {}", mountpoint.string());
  struct stat status;
  const bool is_port = fstat(port.get(), &status) == 0 && S_ISCHR(status.st_mode);
  VolumePump pump;
  pump.requests = fork();
  if (pump.requests == 0) {
    BecomePump("volumes-out", fuse.get(), port.get());
    _exit(PumpRequests(fuse.get(), port.get()));
  }
  if (pump.requests > 0) pump.replies = fork();
  if (pump.replies == 0 && pump.requests > 0) {
    BecomePump("volumes-in", fuse.get(), port.get());
    _exit(PumpReplies(fuse.get(), port.get(), is_port));
  }
  if (pump.requests < 0 || pump.replies < 0) {
    const int problem = errno;
    umount2(mountpoint.c_str(), MNT_DETACH);
    if (pump.requests > 0) {
      kill(pump.requests, SIGKILL);
      waitpid(pump.requests, nullptr, 0);
    }
    return FailErrno(problem, "fork the volume pump");
  }
  return pump;
}

}  // namespace catamaran
