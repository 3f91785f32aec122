#include "vm-backend/volumes/volume_server_process.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/result.h"
#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/server_confinement.h"
#include "vm-backend/volumes/server_limits.h"
#include "vm-backend/volumes/volume_channel.h"
#include "vm-backend/volumes/volume_control.h"
#include "vm-backend/volumes/volume_filesystem.h"
#include "vm-backend/volumes/volume_watcher.h"

// libfuse's low-level half hands character devices in user space (CUSE) on to this; none are
// served. Defined here it keeps the other half, which loads modules by dlopen(3), out of a static
// program.
extern "C" void cuse_lowlevel_init(fuse_req_t request, fuse_ino_t, const void*) {
  fuse_reply_err(request, ENOSYS);
}

namespace catamaran {
namespace {

constexpr size_t kPiece = 64 << 10;

// The requests of one guest, from a byte stream to libfuse and back.
//
// It is the file system that libfuse works on: what libfuse hands back with an answer leads to the
// channel too.
class RequestLoop final : private VolumeFilesystem {
 public:
  explicit RequestLoop(VolumeServerStart start)
      : VolumeFilesystem(start.incarnation),
        stream_(std::move(start.stream)),
        control_(std::move(start.control)),
        framing_(start.secret),
        reader_(framing_, sizeof(fuse_in_header), kLongestServedRequest),
        piece_(kPiece) {
    for (auto& volume : start.volumes) {
      // Under its own number, by which the guest may know it, whatever it shows.
      Add(volume.number, std::move(volume.root), volume.watched, volume.access);
      first_.push_back(volume.number);
    }
    // What the guest has asked an earlier server is lost.
    if (start.incarnation > 0)
      Send(VolumeFraming::Zeros() + framing_.MarkBytes(VolumeFraming::Mark::kBeginAnew, 0));
  }
  ~RequestLoop() {
    if (session_ != nullptr) fuse_session_destroy(session_);
  }

  Status Start() {
    char name[] = "volumes";
    char* argv[] = {name, nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    const auto& operations = VolumeFilesystem::operations();
    session_ = fuse_session_new(&arguments, &operations, sizeof operations,
                                static_cast<VolumeFilesystem*>(this));
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
    // Its shim may still wait for those that the server before this one did not answer for.
    for (const uint64_t volume : first_)
      RETURN_IF_ERROR(Answer({.kind = VolumeCommand::kAdd, .volume = volume, .same_as = volume}));
    return {};
  }

  // Until an end closes.
  Status Run() {
    while (true) {
      pollfd events[3] = {
          {stream_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}, {watcher_.fd(), POLLIN, 0}};
      if (poll(events, 3, -1) < 0) {
        if (errno == EINTR) continue;
        return FailWithErrno("poll");
      }
      if (events[2].revents != 0 && watcher_.Drain()) SendHeader(0, kVolumesChanged);
      if (events[1].revents != 0) RETURN_IF_ERROR(HandleControl());
      if (events[0].revents != 0 && !HandleStream()) return {};
    }
  }

 private:
  // libfuse answers with header and payload in one call.
  static ssize_t WriteReply(int, iovec* parts, int count, void* filesystem) {
    auto* loop = static_cast<RequestLoop*>(static_cast<VolumeFilesystem*>(filesystem));
    std::string reply;
    for (int i = 0; i < count; ++i)
      reply.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    const auto size = static_cast<ssize_t>(reply.size());
    reply += loop->framing_.seal();
    if (loop->answers_init_) loop->init_answer_ = reply;
    return loop->Send(reply) ? size : -1;
  }
  // A message without a payload.
  void SendHeader(uint64_t unique, int32_t error) {
    fuse_out_header header{};
    header.len = sizeof header;
    header.unique = unique;
    header.error = error;
    Send(
        std::string(reinterpret_cast<const char*>(&header), sizeof header).append(framing_.seal()));
  }
  // The socket may be full.
  bool Send(std::string_view rest) {
    AbortStep();
    while (!rest.empty()) {
      const ssize_t sent = send(stream_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        rest.remove_prefix(static_cast<size_t>(sent));
        AbortStep();
      } else if (errno == EAGAIN) {
        pollfd writable{stream_.get(), POLLOUT, 0};
        poll(&writable, 1, -1);
      } else if (errno != EINTR) {
        return false;
      }
    }
    return true;
  }
  static ssize_t ReadNothing(int, void*, size_t, void*) { return 0; }

  // A server whose shim is gone is about to be killed: no end of its own.
  Status HandleControl() {
    auto received = ReceiveVolumeCommand(control_.get());
    if (!received) {
      if (received.error().system_errno == EAGAIN) return {};
      return tl::unexpected<Error>(std::move(received).error());
    }
    VolumeCommand& command = received->command;
    if (command.kind == VolumeCommand::kRemove) {
      watcher_.Unwatch(command.volume);
      RemoveVolume(command.volume);
      AbortStep();
      return {};
    }
    command.same_as = command.volume;
    if (received->descriptor.valid())
      AddOrJoin(&command, std::move(received->descriptor));
    else if (command.problem == 0)
      command.problem = EBADF;
    return Answer(command);
  }

  // The shim reads its answers whatever it is doing, but it may have much else to do.
  Status Answer(const VolumeCommand& command) {
    AbortStep();
    while (true) {
      auto sent = SendVolumeCommand(control_.get(), command);
      if (sent || sent.error().system_errno != EAGAIN) return sent;
      pollfd writable{control_.get(), POLLOUT, 0};
      poll(&writable, 1, -1);
    }
  }

  static Caching CachingOf(bool watched) { return watched ? Caching::kNone : Caching::kSeconds; }
  // Containers that share a volume share one view of it: what one of them renames or locks is so at
  // once for the others.
  void AddOrJoin(VolumeCommand* command, UniqueFd root) {
    const bool watched = command->kind == VolumeCommand::kAddWatched;
    if (const auto same = SameVolume(root.get(), CachingOf(watched), command->access))
      command->same_as = *same;
    else
      Add(command->volume, std::move(root), watched, command->access);
  }
  void Add(uint64_t volume, UniqueFd root, bool watched, uint32_t access) {
    if (watched) watcher_.Watch(volume, root.get());
    AddVolume(volume, std::move(root), CachingOf(watched), access);
  }

  bool HandleStream() {
    const ssize_t count = recv(stream_.get(), piece_.data(), piece_.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    reader_.Append(std::span(piece_).first(static_cast<size_t>(count)));
    while (const auto item = reader_.Next()) {
      if (!item->message.empty()) {
        Process(item->message);
      } else if (item->mark == VolumeFraming::Mark::kBegin) {
        reader_.Found();
        if (!Send(framing_.MarkBytes(VolumeFraming::Mark::kBegun, item->session))) return false;
      }
    }
    return true;
  }

  void Process(std::span<const std::byte> message) {
    fuse_in_header header;
    memcpy(&header, message.data(), sizeof header);
    Status checked = CheckFuseRequest(message);
    if (checked && header.opcode == FUSE_INIT) {
      // A pump that was started anew repeats the kernel's, whose answer may have been lost.
      if (std::equal(message.begin(), message.end(), init_.begin(), init_.end())) {
        Send(init_answer_);
        return;
      }
      // Another one would renegotiate sizes that requests in flight were checked against.
      if (!init_.empty()) checked = Fail(ErrorCode::kInvalidArgument, "second INIT");
    }
    if (checked) {
      // libfuse takes the message aligned and may write into it.
      message_.assign(message.begin(), message.end());
      answers_init_ = header.opcode == FUSE_INIT;
      if (answers_init_) init_ = message_;
      fuse_buf buf{};
      buf.mem = message_.data();
      buf.size = message_.size();
      fuse_session_process_buf(session_, &buf);
      answers_init_ = false;
      return;
    }
    if (FuseRequestHasReply(header.opcode))
      SendHeader(header.unique, checked.error().code == ErrorCode::kUnimplemented ? -ENOSYS : -EIO);
  }

  UniqueFd stream_;
  UniqueFd control_;
  const VolumeFraming framing_;
  VolumeFrameReader reader_;
  VolumeWatcher watcher_;
  std::vector<uint64_t> first_;  // the volumes it began with
  fuse_session* session_ = nullptr;
  bool answers_init_ = false;
  std::vector<std::byte> init_;  // the guest's kernel's
  std::string init_answer_;
  std::vector<std::byte> piece_;    // as received
  std::vector<std::byte> message_;  // the one libfuse works on
};

}  // namespace

int RunVolumeServer(VolumeServerStart start) {
  // One that is killed at a step is followed by one that is not.
  if (start.incarnation == 0) InitAbortSteps("volumes");
  if (!ConfineServer(kAllServerDefences)) return 2;
  AbortStep();
  RequestLoop loop(std::move(start));
  if (!loop.Start()) return 3;
  return loop.Run() ? 0 : 4;
}

}  // namespace catamaran
