#include "sandbox/protocol/stdio_mux.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/protocol/frame.h"

namespace catamaran {
namespace {

// Credit is returned in portions, not for every write.
constexpr uint32_t kCreditPortion = kStreamWindow / 4;
constexpr uint32_t kMaxCredit = 16 << 20;

Message StreamMessage(MessageType type, uint32_t stream, std::string body = "") {
  Message message;
  message.type = type;
  message.stream = stream;
  message.body = std::move(body);
  return message;
}

}  // namespace

// Reads while there is credit and the channel has room; stops watching otherwise, because a
// hang-up is reported whatever events were asked for.
class StdioMux::Source : public std::enable_shared_from_this<Source> {
 public:
  Source(StdioMux& mux, uint32_t stream, UniqueFd fd)
      : mux_(mux), stream_(stream), fd_(std::move(fd)) {}

  void Start() {
    (void)SetNonBlocking(fd_.get());
    Resume();
  }
  void AfterContents(bool then_end, Callback done);
  void AddCredit(uint32_t bytes) {
    credit_ = std::min(credit_ + bytes, kMaxCredit);
    Resume();
  }
  // Watches the descriptor; what epoll does not take (a file) is always readable.
  void Resume();
  void Abandon() {
    watch_.Cancel();
    fd_.Reset();
    RunWaiting(true);
  }

 private:
  struct Waiting {
    uint64_t position;  // of the stream, in bytes sent
    Callback done;
  };

  void ReadSome();
  void End();
  void RunWaiting(bool all);

  StdioMux& mux_;
  const uint32_t stream_;
  UniqueFd fd_;
  EventLoop::Watch watch_;
  uint32_t credit_ = kStreamWindow;
  uint64_t sent_ = 0;
  bool end_after_contents_ = false;
  uint64_t end_position_ = 0;
  std::vector<Waiting> waiting_;
};

void StdioMux::Source::Resume() {
  if (!fd_.valid()) return;
  if (credit_ == 0 || !mux_.channel_.HasRoom()) return watch_.Cancel();
  if (watch_.active()) return;
  auto watch = mux_.loop_.WatchFd(fd_.get(), EPOLLIN, [this](uint32_t) { ReadSome(); });
  if (watch) {
    watch_ = std::move(*watch);
    return;
  }
  mux_.loop_.Post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->ReadSome();
  });
}

void StdioMux::Source::ReadSome() {
  const auto keep = shared_from_this();
  if (!fd_.valid() || credit_ == 0 || !mux_.channel_.HasRoom()) return Resume();
  size_t wanted = std::min<size_t>(credit_, kMaxFrameBody);
  if (end_after_contents_) wanted = std::min<size_t>(wanted, end_position_ - sent_);
  std::string body(wanted, '\0');
  const ssize_t count = wanted == 0 ? 0 : read(fd_.get(), body.data(), wanted);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // A pty whose other side is closed reads EIO: an end like any other.
  if (count <= 0) return End();
  body.resize(count);
  credit_ -= count;
  sent_ += count;
  // Without a peer there is nobody to tell: the owner of the channel ends the streams.
  (void)mux_.channel_.Send(StreamMessage(MessageType::kData, stream_, std::move(body)),
                           MessageChannel::Order::kBulk);
  if (end_after_contents_ && sent_ >= end_position_) return End();
  Resume();
  RunWaiting(false);  // last: the callbacks may end everything
}

void StdioMux::Source::AfterContents(bool then_end, Callback done) {
  int available = 0;
  if (!fd_.valid() || ioctl(fd_.get(), FIONREAD, &available) != 0 || available < 0) available = 0;
  if (then_end) {
    end_after_contents_ = true;
    end_position_ = sent_ + available;
  }
  waiting_.push_back({sent_ + available, std::move(done)});
  const auto keep = shared_from_this();
  if (then_end && available == 0 && fd_.valid()) return End();
  RunWaiting(!fd_.valid());
}

void StdioMux::Source::End() {
  watch_.Cancel();
  fd_.Reset();
  (void)mux_.channel_.Send(StreamMessage(MessageType::kEnd, stream_), MessageChannel::Order::kBulk);
  const auto keep = shared_from_this();
  mux_.sources_.erase(stream_);
  RunWaiting(true);
}

void StdioMux::Source::RunWaiting(bool all) {
  std::vector<Callback> due;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!all && it->position > sent_) {
      ++it;
      continue;
    }
    due.push_back(std::move(it->done));
    it = waiting_.erase(it);
  }
  for (auto& done : due)
    if (done) done();
}

// Writes what was received as fast as its reader takes it.
class StdioMux::Sink : public std::enable_shared_from_this<Sink> {
 public:
  Sink(StdioMux& mux, uint32_t stream, UniqueFd fd)
      : mux_(mux), stream_(stream), fd_(std::move(fd)) {}

  void Start() {
    (void)SetNonBlocking(fd_.get());
    // Reports the reader's end (EPOLLERR) even while nothing is to be written.
    if (auto watch =
            mux_.loop_.WatchFd(fd_.get(), 0, [this](uint32_t events) { OnEvents(events); }))
      watch_ = std::move(*watch);
  }
  Status Receive(std::string body);
  void ReceiveEnd() {
    ended_ = true;
    WriteSome();
  }
  void AfterWritten(Callback done) {
    if (buffer_.size() == written_) return done();
    waiting_.push_back(std::move(done));
  }
  void Abandon() {
    watch_.Cancel();
    fd_.Reset();
    buffer_.clear();
    written_ = 0;
    RunWaiting();
  }

 private:
  void OnEvents(uint32_t events);
  void WriteSome();
  void ReaderGone();
  void GrantCredit(uint32_t bytes);
  void RunWaiting() {
    auto due = std::move(waiting_);
    waiting_.clear();
    for (auto& done : due)
      if (done) done();
  }

  StdioMux& mux_;
  const uint32_t stream_;
  UniqueFd fd_;
  EventLoop::Watch watch_;
  std::string buffer_;
  size_t written_ = 0;                // of buffer_
  uint32_t allowed_ = kStreamWindow;  // bytes the peer may still send
  uint32_t ungranted_ = 0;            // written, credit not yet returned
  bool ended_ = false;
  std::vector<Callback> waiting_;
};

Status StdioMux::Sink::Receive(std::string body) {
  if (body.size() > allowed_ || ended_)
    return Fail(ErrorCode::kResourceExhausted, "the peer sent data on stream {} beyond its credit",
                stream_);
  allowed_ -= body.size();
  if (!fd_.valid()) return {};  // its reader is gone, and the peer was told
  buffer_ += body;
  WriteSome();
  return {};
}

void StdioMux::Sink::WriteSome() {
  const auto keep = shared_from_this();
  while (fd_.valid() && written_ < buffer_.size()) {
    const ssize_t count = write(fd_.get(), buffer_.data() + written_, buffer_.size() - written_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      if (watch_.active()) (void)watch_.SetEvents(EPOLLOUT);
      return;
    }
    if (count < 0) return ReaderGone();
    written_ += count;
    GrantCredit(count);
  }
  buffer_.clear();
  written_ = 0;
  if (watch_.active()) (void)watch_.SetEvents(0);
  if (ended_) {
    watch_.Cancel();
    // A socket's other direction may live on, under another descriptor.
    if (fd_.valid()) shutdown(fd_.get(), SHUT_WR);
    fd_.Reset();
    mux_.sinks_.erase(stream_);
  }
  RunWaiting();
}

void StdioMux::Sink::GrantCredit(uint32_t bytes) {
  ungranted_ += bytes;
  if (ungranted_ < kCreditPortion || ended_) return;
  std::string body(4, '\0');
  for (int i = 0; i < 4; ++i) body[i] = static_cast<char>(ungranted_ >> (8 * i));
  allowed_ += ungranted_;
  ungranted_ = 0;
  (void)mux_.channel_.Send(StreamMessage(MessageType::kCredit, stream_, std::move(body)));
}

void StdioMux::Sink::OnEvents(uint32_t events) {
  if (events & EPOLLERR) return ReaderGone();
  if (events & EPOLLOUT) return WriteSome();
  // A socket's peer hung up: writing tells whether it only closed one direction.
  if (events & EPOLLHUP) ReaderGone();
}

void StdioMux::Sink::ReaderGone() {
  const auto keep = shared_from_this();
  (void)mux_.channel_.Send(StreamMessage(MessageType::kStop, stream_));
  if (ended_) mux_.sinks_.erase(stream_);
  Abandon();
}

StdioMux::StdioMux(EventLoop& loop, MessageChannel& channel) : loop_(loop), channel_(channel) {}

StdioMux::~StdioMux() {
  // Callbacks of streams that end here would run into an owner that is going.
  for (auto& source : std::exchange(sources_, {})) (void)source;
  for (auto& sink : std::exchange(sinks_, {})) (void)sink;
}

void StdioMux::AddSource(uint32_t stream, UniqueFd fd) {
  auto source = std::make_shared<Source>(*this, stream, std::move(fd));
  sources_[stream] = source;
  source->Start();
}

void StdioMux::AddSink(uint32_t stream, UniqueFd fd) {
  auto sink = std::make_shared<Sink>(*this, stream, std::move(fd));
  sinks_[stream] = sink;
  sink->Start();
}

void StdioMux::AfterContents(uint32_t stream, Callback done) {
  auto found = sources_.find(stream);
  if (found == sources_.end()) return done();
  auto source = found->second;
  source->AfterContents(false, std::move(done));
}

void StdioMux::EndAfterContents(uint32_t stream, Callback done) {
  auto found = sources_.find(stream);
  if (found == sources_.end()) return done();
  auto source = found->second;
  source->AfterContents(true, std::move(done));
}

void StdioMux::AfterWritten(uint32_t stream, Callback done) {
  auto found = sinks_.find(stream);
  if (found == sinks_.end()) return done();
  auto sink = found->second;
  sink->AfterWritten(std::move(done));
}

void StdioMux::Remove(uint32_t stream) {
  if (auto found = sources_.find(stream); found != sources_.end()) {
    auto source = std::move(found->second);
    sources_.erase(found);
    source->Abandon();
  }
  if (auto found = sinks_.find(stream); found != sinks_.end()) {
    auto sink = std::move(found->second);
    sinks_.erase(found);
    sink->Abandon();
  }
}

Status StdioMux::Handle(Message message) {
  const auto source_found = sources_.find(message.stream);
  const auto sink_found = sinks_.find(message.stream);
  // A stream that is not (or no longer) known: the two ends closed it at the same time.
  switch (message.type) {
    case MessageType::kData:
      if (sink_found == sinks_.end()) return {};
      return std::shared_ptr(sink_found->second)->Receive(std::move(message.body));
    case MessageType::kEnd:
      if (sink_found != sinks_.end()) std::shared_ptr(sink_found->second)->ReceiveEnd();
      return {};
    case MessageType::kStop:
      if (source_found == sources_.end()) return {};
      Remove(message.stream);
      // The sink is remembered over there until its stream ends.
      (void)channel_.Send(StreamMessage(MessageType::kEnd, message.stream),
                          MessageChannel::Order::kBulk);
      return {};
    case MessageType::kCredit: {
      if (message.body.size() != 4)
        return Fail(ErrorCode::kInvalidArgument, "a credit of {} bytes", message.body.size());
      uint32_t bytes = 0;
      for (int i = 0; i < 4; ++i)
        bytes |= static_cast<uint32_t>(static_cast<unsigned char>(message.body[i])) << (8 * i);
      if (source_found != sources_.end())
        std::shared_ptr(source_found->second)->AddCredit(std::min(bytes, kMaxCredit));
      return {};
    }
    default:
      return {};
  }
}

void StdioMux::OnRoom() {
  std::vector<std::shared_ptr<Source>> sources;
  for (auto& [stream, source] : sources_) sources.push_back(source);
  for (auto& source : sources) source->Resume();
}

}  // namespace catamaran
