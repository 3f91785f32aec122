#include "vm-backend/volumes/volume_server_process.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/server_confinement.h"
#include "vm-backend/volumes/volume_control.h"
#include "vm-backend/volumes/volume_filesystem.h"

// libfuse's low-level half hands character devices in user space (CUSE) on to this; none are
// served. Defined here it keeps the other half, which loads modules by dlopen(3), out of a static
// program.
extern "C" void cuse_lowlevel_init(fuse_req_t request, fuse_ino_t, const void*) {
  fuse_reply_err(request, ENOSYS);
}

namespace catamaran {
namespace {

// The requests of one guest, from a byte stream to libfuse and back.
class RequestLoop {
 public:
  RequestLoop(UniqueFd stream, UniqueFd control)
      : stream_(std::move(stream)), control_(std::move(control)), buffer_(2 * kMaxFuseRequest) {}
  ~RequestLoop() {
    if (session_ != nullptr) fuse_session_destroy(session_);
  }

  Status Start() {
    char name[] = "volumes";
    char* argv[] = {name, nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    const auto& operations = VolumeFilesystem::operations();
    session_ = fuse_session_new(&arguments, &operations, sizeof operations, &filesystem_);
    fuse_opt_free_args(&arguments);
    if (session_ == nullptr) return Fail(ErrorCode::kInternal, "fuse_session_new failed");
    static const fuse_custom_io io = {.writev = &RequestLoop::WriteReply,
                                      .read = &RequestLoop::ReadNothing,
                                      .splice_receive = nullptr,
                                      .splice_send = nullptr};
    // The session closes its descriptor: it gets one of its own.
    const int session_fd = fcntl(stream_.get(), F_DUPFD_CLOEXEC, 0);
    if (fuse_session_custom_io(session_, &io, session_fd) != 0)
      return Fail(ErrorCode::kInternal, "fuse_session_custom_io failed");
    return {};
  }

  // Until an end closes, or the guest sends what cannot be framed.
  void Run() {
    while (true) {
      pollfd events[2] = {{stream_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}};
      if (poll(events, 2, -1) < 0 && errno != EINTR) return;
      if (events[1].revents != 0 && !HandleControl()) return;
      if (events[0].revents != 0 && !HandleStream()) return;
    }
  }

 private:
  // libfuse answers with header and payload in one call; the socket may be full.
  static ssize_t WriteReply(int fd, iovec* parts, int count, void*) {
    std::string reply;
    for (int i = 0; i < count; ++i)
      reply.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    for (std::string_view rest = reply; !rest.empty();) {
      const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        rest.remove_prefix(sent);
      } else if (errno == EAGAIN) {
        pollfd writable{fd, POLLOUT, 0};
        poll(&writable, 1, -1);
      } else if (errno != EINTR) {
        return -1;
      }
    }
    return static_cast<ssize_t>(reply.size());
  }
  static ssize_t ReadNothing(int, void*, size_t, void*) { return 0; }

  bool HandleControl() {
    auto received = ReceiveVolumeCommand(control_.get());
    if (!received) return received.error().system_errno == EAGAIN;
    VolumeCommand& command = received->command;
    if (command.kind == VolumeCommand::kRemove) {
      filesystem_.RemoveVolume(command.volume);
      return true;
    }
    if (!received->descriptor.valid()) return true;
    filesystem_.AddVolume(command.volume, std::move(received->descriptor));
    return SendVolumeCommand(control_.get(), command).has_value();
  }

  bool HandleStream() {
    const ssize_t count =
        recv(stream_.get(), buffer_.data() + used_, buffer_.size() - used_, MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    used_ += count;
    size_t start = 0;
    while (used_ - start >= sizeof(fuse_in_header)) {
      fuse_in_header header;
      memcpy(&header, buffer_.data() + start, sizeof header);
      if (header.len < sizeof header || header.len > kMaxFuseRequest) return false;
      if (used_ - start < header.len) break;
      Process(header, buffer_.data() + start);
      start += header.len;
    }
    memmove(buffer_.data(), buffer_.data() + start, used_ - start);
    used_ -= start;
    return true;
  }

  void Process(const fuse_in_header& header, std::byte* message) {
    Status checked = CheckFuseRequest({message, header.len});
    // A second INIT would renegotiate sizes that requests in flight were checked against.
    if (checked && header.opcode == FUSE_INIT && std::exchange(initialised_, true))
      checked = Fail(ErrorCode::kInvalidArgument, "second INIT");
    if (checked) {
      // libfuse takes the message aligned and may write into it.
      message_.assign(message, message + header.len);
      fuse_buf buf{};
      buf.mem = message_.data();
      buf.size = message_.size();
      fuse_session_process_buf(session_, &buf);
      return;
    }
    if (!FuseRequestHasReply(header.opcode)) return;
    fuse_out_header refusal{};
    refusal.len = sizeof refusal;
    refusal.unique = header.unique;
    refusal.error = checked.error().code == ErrorCode::kUnimplemented ? -ENOSYS : -EIO;
    iovec part{&refusal, sizeof refusal};
    WriteReply(stream_.get(), &part, 1, nullptr);
  }

  UniqueFd stream_;
  UniqueFd control_;
  VolumeFilesystem filesystem_;
  fuse_session* session_ = nullptr;
  bool initialised_ = false;
  std::vector<std::byte> buffer_;   // received, not yet whole requests
  std::vector<std::byte> message_;  // the one libfuse works on
  size_t used_ = 0;
};

}  // namespace

int RunVolumeServer(UniqueFd stream, UniqueFd control) {
  if (!ConfineServer(kAllServerDefences)) return 2;
  RequestLoop loop(std::move(stream), std::move(control));
  if (!loop.Start()) return 3;
  loop.Run();
  return 0;
}

}  // namespace catamaran
