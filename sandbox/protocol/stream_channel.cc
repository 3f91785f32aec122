#include "sandbox/protocol/stream_channel.h"

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>

#include "sandbox/base/files.h"
#include "sandbox/protocol/frame.h"

namespace catamaran {
namespace {

using Role = StreamChannelOptions::Role;
using AtEnd = StreamChannelOptions::AtEnd;

// Read at one wake-up, so that a peer that never stops does not keep the loop from others.
constexpr size_t kReadBudget = 256 << 10;
constexpr std::chrono::milliseconds kFirstRetry(100);
constexpr std::chrono::milliseconds kLastRetry(2000);

class StreamChannel final : public MessageChannel {
 public:
  StreamChannel(EventLoop& loop, UniqueFd stream, UniqueFd write_end, StreamChannelOptions options)
      : loop_(loop),
        stream_(std::move(stream)),
        write_end_(std::move(write_end)),
        options_(options) {}

  Status Start(Callbacks callbacks) override;
  Status Send(Message message, Order order) override;
  bool HasRoom() const override { return bulk_.bytes < options_.limits.bulk_room; }
  bool Idle() const override { return partial_.empty() && urgent_.empty() && bulk_.empty(); }
  void PauseReading(bool paused) override;
  void EndSession() override;
  bool passes_descriptors() const override { return false; }

 private:
  struct Queue {
    std::deque<std::string> frames;
    size_t bytes = 0;
    bool empty() const { return frames.empty(); }
    void Clear() { *this = Queue(); }
  };

  bool WaitsForSessions() const {
    return options_.role == Role::kServer && options_.at_end == AtEnd::kPeerMayReturn;
  }
  int write_fd() const { return write_end_.valid() ? write_end_.get() : stream_.get(); }
  Status WatchStream();
  void OnEvents(uint32_t events);
  Status ReadSome();
  Status DispatchFrames();
  Status OnFrame(const FrameParser::Frame& frame);
  Status OnOpen(uint64_t epoch);
  Status Reassemble(const FrameParser::Frame& frame);
  void Open();
  Status Flush();
  void FlushAndTell();
  bool TakeFrame();
  void ForgetSession();
  void Close(const Error& error);
  void CloseSoon(const Error& error);

  EventLoop& loop_;
  UniqueFd stream_;
  UniqueFd write_end_;
  const StreamChannelOptions options_;
  Callbacks callbacks_;
  EventLoop::Watch watch_, write_watch_, retry_;
  FrameParser parser_;
  std::string assembled_[2];  // unfinished messages, urgent and bulk
  std::string partial_;       // the frame being written, from partial_sent_ on
  size_t partial_sent_ = 0;
  Queue urgent_, bulk_;
  uint64_t epoch_ = 0;
  bool in_session_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool had_no_room_ = false;
  std::chrono::milliseconds retry_delay_ = kFirstRetry;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

Status StreamChannel::Start(Callbacks callbacks) {
  callbacks_ = std::move(callbacks);
  RETURN_IF_ERROR(SetNonBlocking(stream_.get()));
  if (write_end_.valid()) RETURN_IF_ERROR(SetNonBlocking(write_end_.get()));
  RETURN_IF_ERROR(WatchStream());
  if (options_.role == Role::kServer) return {};
  if (getrandom(&epoch_, sizeof epoch_, 0) != sizeof epoch_) return FailWithErrno("getrandom");
  Open();
  return {};
}

// Edge-triggered: a port whose host is away polls as hung up all the time, and every change (the
// host came, bytes came, room came) still wakes the loop once.
Status StreamChannel::WatchStream() {
  const auto on_events = [this](uint32_t events) { OnEvents(events); };
  if (!write_end_.valid()) {
    ASSIGN_OR_RETURN(watch_, loop_.WatchFd(stream_.get(), EPOLLIN | EPOLLOUT | EPOLLET, on_events));
    return {};
  }
  ASSIGN_OR_RETURN(watch_, loop_.WatchFd(stream_.get(), EPOLLIN | EPOLLET, on_events));
  ASSIGN_OR_RETURN(write_watch_, loop_.WatchFd(write_end_.get(), EPOLLOUT | EPOLLET, on_events));
  return {};
}

void StreamChannel::Open() {
  if (in_session_ || closed_) return;
  // Only into an empty queue: while nobody reads, openings do not pile up.
  if (partial_.empty()) {
    partial_sent_ = 0;
    if (retry_delay_ != kFirstRetry) partial_.assign(kMaxFrameBody + FrameHeader::kSize, '\0');
    partial_ += EncodeFrame({kOpenFrame, 0, epoch_, 0}, "");
    if (auto flushed = Flush(); !flushed) return CloseSoon(flushed.error());
  }
  auto timer = loop_.RunAfter(retry_delay_, [this] { Open(); });
  if (!timer) return CloseSoon(timer.error());
  retry_ = std::move(*timer);
  retry_delay_ = std::min(retry_delay_ * 2, kLastRetry);
}

Status StreamChannel::Send(Message message, Order order) {
  if (closed_) return Fail(ErrorCode::kUnavailable, "the connection is closed");
  if (!in_session_ && options_.role == Role::kServer)
    return Fail(ErrorCode::kUnavailable, "no session");
  if (message.body.size() > options_.limits.max_message || !message.fds.empty())
    return Fail(ErrorCode::kInvalidArgument, "a message of {} bytes and {} descriptors",
                message.body.size(), message.fds.size());
  if (urgent_.bytes + bulk_.bytes + message.body.size() > options_.limits.max_queued)
    return Fail(ErrorCode::kResourceExhausted, "the peer has left {} bytes unread",
                urgent_.bytes + bulk_.bytes);
  Queue& queue = order == Order::kBulk ? bulk_ : urgent_;
  std::string_view rest = message.body;
  do {
    const std::string_view piece = rest.substr(0, kMaxFrameBody);
    rest.remove_prefix(piece.size());
    FrameHeader header{static_cast<uint8_t>(message.type), 0, epoch_, message.stream};
    if (!rest.empty()) header.flags |= FrameHeader::kMore;
    if (order == Order::kBulk) header.flags |= FrameHeader::kBulk;
    queue.frames.push_back(EncodeFrame(header, piece));
    queue.bytes += queue.frames.back().size();
  } while (!rest.empty());
  if (!HasRoom()) had_no_room_ = true;
  if (auto flushed = Flush(); !flushed) {
    CloseSoon(flushed.error());
    return flushed;
  }
  return {};
}

// Moves the next frame to partial_: urgent ones first.
bool StreamChannel::TakeFrame() {
  if (!in_session_) return false;
  Queue& queue = urgent_.empty() ? bulk_ : urgent_;
  if (queue.empty()) return false;
  partial_ = std::move(queue.frames.front());
  partial_sent_ = 0;
  queue.frames.pop_front();
  queue.bytes -= partial_.size();
  return true;
}

Status StreamChannel::Flush() {
  while (!partial_.empty() || TakeFrame()) {
    const char* from = partial_.data() + partial_sent_;
    const size_t left = partial_.size() - partial_sent_;
    ssize_t count = send(write_fd(), from, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == ENOTSOCK) count = write(write_fd(), from, left);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return {};
      // A port without a host may refuse; the next session starts over.
      if (options_.at_end == AtEnd::kPeerMayReturn) return {};
      return FailWithErrno("write");
    }
    partial_sent_ += count;
    if (partial_sent_ < partial_.size()) continue;
    partial_.clear();
    partial_sent_ = 0;
  }
  return {};
}

void StreamChannel::FlushAndTell() {
  if (auto flushed = Flush(); !flushed) return Close(flushed.error());
  if (!had_no_room_ || !HasRoom()) return;
  had_no_room_ = false;
  if (callbacks_.on_room) callbacks_.on_room();
}

void StreamChannel::OnEvents(uint32_t events) {
  const std::weak_ptr<int> alive = alive_;
  if (events & EPOLLOUT) {
    FlushAndTell();
    if (alive.expired() || closed_) return;
  }
  if (paused_ || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  auto read = ReadSome();
  if (alive.expired() || closed_) return;
  if (!read) Close(read.error());
}

Status StreamChannel::ReadSome() {
  const std::weak_ptr<int> alive = alive_;
  char buffer[64 << 10];
  for (size_t total = 0; total < kReadBudget;) {
    const ssize_t count = read(stream_.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count < 0 && options_.at_end == AtEnd::kClosed) return FailWithErrno("read");
    if (count <= 0) {
      if (options_.at_end == AtEnd::kPeerMayReturn) return {};  // an edge follows when it does
      return Fail(ErrorCode::kUnavailable, "the peer closed the connection");
    }
    total += count;
    parser_.Append({buffer, static_cast<size_t>(count)});
    RETURN_IF_ERROR(DispatchFrames());
    if (alive.expired() || closed_ || paused_) return {};
  }
  // No new edge comes for what is left: go on in the loop's next round.
  loop_.Post([this, alive] {
    if (!alive.expired() && !closed_) OnEvents(EPOLLIN);
  });
  return {};
}

Status StreamChannel::DispatchFrames() {
  const std::weak_ptr<int> alive = alive_;
  while (!paused_) {
    const bool strict = options_.role == Role::kClient && in_session_;
    ASSIGN_OR_RETURN(
        auto frame, parser_.Next(strict ? FrameParser::Damage::kFail : FrameParser::Damage::kSkip));
    if (!frame) return {};
    auto handled = OnFrame(*frame);
    if (alive.expired() || closed_) return {};
    if (!handled) {
      // A server at a port has no other connection to wait for.
      if (!WaitsForSessions()) return handled;
      ForgetSession();
    }
  }
  return {};
}

Status StreamChannel::OnFrame(const FrameParser::Frame& frame) {
  const FrameHeader& header = frame.header;
  if (header.type == kOpenFrame && options_.role == Role::kServer) return OnOpen(header.epoch);
  if (header.epoch != epoch_) return {};  // of an earlier session
  if (header.type == kAcceptFrame && options_.role == Role::kClient) {
    if (in_session_) return {};  // the answer to a repeated opening
    in_session_ = true;
    retry_.Cancel();
    // Not from here: the caller's stack may be Flush's.
    loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
      if (alive.expired() || closed_) return;
      if (callbacks_.on_session) callbacks_.on_session();
      if (!alive.expired() && !closed_) FlushAndTell();
    });
    return {};
  }
  if (!in_session_) return {};
  return Reassemble(frame);
}

Status StreamChannel::OnOpen(uint64_t epoch) {
  const bool fresh = !in_session_ || epoch != epoch_;
  if (fresh) {
    ForgetSession();
    epoch_ = epoch;
    in_session_ = true;
  }
  // A frame that is half written is finished first: the client skips it whole.
  urgent_.frames.push_front(EncodeFrame({kAcceptFrame, 0, epoch_, 0}, ""));
  urgent_.bytes += urgent_.frames.front().size();
  RETURN_IF_ERROR(Flush());
  if (fresh && callbacks_.on_session) callbacks_.on_session();
  return {};
}

Status StreamChannel::Reassemble(const FrameParser::Frame& frame) {
  std::string& assembled = assembled_[(frame.header.flags & FrameHeader::kBulk) ? 1 : 0];
  if (assembled.size() + frame.body.size() > options_.limits.max_message) {
    assembled.clear();
    return Fail(ErrorCode::kDataLoss, "the peer sent a message larger than {} bytes",
                options_.limits.max_message);
  }
  assembled += frame.body;
  if (frame.header.flags & FrameHeader::kMore) return {};
  Message message;
  message.type = static_cast<MessageType>(frame.header.type);
  message.stream = frame.header.stream;
  message.body = std::move(assembled);
  assembled.clear();
  callbacks_.on_message(std::move(message));
  return {};
}

void StreamChannel::PauseReading(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  if (paused) return;
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || closed_ || paused_) return;
    auto dispatched = DispatchFrames();
    if (alive.expired() || closed_) return;
    if (!dispatched) return Close(dispatched.error());
    OnEvents(EPOLLIN);
  });
}

void StreamChannel::ForgetSession() {
  in_session_ = false;
  urgent_.Clear();
  bulk_.Clear();
  assembled_[0].clear();
  assembled_[1].clear();
}

void StreamChannel::EndSession() {
  if (WaitsForSessions()) return ForgetSession();
  CloseSoon(Error{ErrorCode::kUnavailable, 0, "closed by this side"});
}

void StreamChannel::Close(const Error& error) {
  if (closed_) return;
  closed_ = true;
  watch_.Cancel();
  write_watch_.Cancel();
  retry_.Cancel();
  ForgetSession();
  parser_.Clear();
  // It may destroy this channel.
  auto on_closed = std::move(callbacks_.on_closed);
  if (on_closed) on_closed(error);
}

void StreamChannel::CloseSoon(const Error& error) {
  loop_.Post([this, alive = std::weak_ptr<int>(alive_), error] {
    if (!alive.expired()) Close(error);
  });
}

}  // namespace

Result<std::unique_ptr<MessageChannel>> MakeStreamChannel(EventLoop& loop, UniqueFd stream,
                                                          StreamChannelOptions options,
                                                          UniqueFd write_end) {
  return std::unique_ptr<MessageChannel>(
      new StreamChannel(loop, std::move(stream), std::move(write_end), options));
}

}  // namespace catamaran
