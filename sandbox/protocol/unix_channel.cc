#include "sandbox/protocol/unix_channel.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <iterator>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

struct Header {
  uint32_t length;  // of the body
  uint32_t stream;
  uint8_t type;
  uint8_t fd_count;
  uint16_t reserved;
};
static_assert(sizeof(Header) == 12);

constexpr size_t kReadChunk = 64 << 10;
// Descriptors received with frames whose headers are still to come.
constexpr size_t kMaxWaitingFds = 64;

class UnixChannel final : public MessageChannel {
 public:
  UnixChannel(EventLoop& loop, UniqueFd socket, ChannelLimits limits)
      : loop_(loop), socket_(std::move(socket)), limits_(limits) {}

  Status Start(Callbacks callbacks) override {
    callbacks_ = std::move(callbacks);
    ASSIGN_OR_RETURN(watch_, loop_.WatchFd(socket_.get(), EPOLLIN,
                                           [this](uint32_t events) { OnEvents(events); }));
    loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired() && !closed_) BeginSession();
    });
    return {};
  }

  Status Send(Message message, Order) override;
  bool HasRoom() const override { return queued_ < limits_.bulk_room; }
  bool Idle() const override { return queue_.empty(); }
  void PauseReading(bool paused) override;
  void EndSession() override { CloseSoon(ErrorCode::kUnavailable, "closed by this side"); }
  bool passes_descriptors() const override { return true; }

 private:
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::vector<UniqueFd> fds;  // until the first byte is sent
  };

  // Before anything else is reported, whichever comes first.
  void BeginSession() {
    if (!std::exchange(in_session_, true) && callbacks_.on_session) callbacks_.on_session();
  }
  void OnEvents(uint32_t events);
  Status Receive();
  Status DispatchMessages(const std::weak_ptr<int>& alive);
  Status Flush();
  Result<size_t> SendSome(Outgoing& outgoing);
  void UpdateEvents();
  void Close(const Error& error);
  void CloseSoon(ErrorCode code, const std::string& why);

  EventLoop& loop_;
  UniqueFd socket_;
  const ChannelLimits limits_;
  Callbacks callbacks_;
  EventLoop::Watch watch_;
  std::string input_;
  std::deque<UniqueFd> received_fds_;
  std::deque<Outgoing> queue_;
  size_t queued_ = 0;
  bool in_session_ = false;
  bool paused_ = false;
  bool closed_ = false;
  bool had_no_room_ = false;
  bool write_failed_ = false;  // the peer's last answers may still be read
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

Status UnixChannel::Send(Message message, Order) {
  if (closed_ || write_failed_) return Fail(ErrorCode::kUnavailable, "the connection is closed");
  if (message.body.size() > limits_.max_message)
    return Fail(ErrorCode::kInvalidArgument, "a message of {} bytes; {} are allowed",
                message.body.size(), limits_.max_message);
  if (message.fds.size() > limits_.max_fds)
    return Fail(ErrorCode::kInvalidArgument, "{} descriptors in one message; {} are allowed",
                message.fds.size(), limits_.max_fds);
  if (queued_ + message.body.size() > limits_.max_queued)
    return Fail(ErrorCode::kResourceExhausted, "the peer has left {} bytes unread", queued_);
  const Header header{static_cast<uint32_t>(message.body.size()), message.stream,
                      static_cast<uint8_t>(message.type), static_cast<uint8_t>(message.fds.size()),
                      0};
  Outgoing outgoing;
  outgoing.bytes.reserve(sizeof header + message.body.size());
  outgoing.bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  outgoing.bytes += message.body;
  outgoing.fds = std::move(message.fds);
  queued_ += outgoing.bytes.size();
  queue_.push_back(std::move(outgoing));
  RETURN_IF_ERROR(Flush());
  if (!HasRoom()) had_no_room_ = true;
  return {};
}

Result<size_t> UnixChannel::SendSome(Outgoing& outgoing) {
  std::vector<int> fds;
  for (const auto& fd : outgoing.fds) fds.push_back(fd.get());
  auto sent = SendWithDescriptors(
      socket_.get(), std::string_view(outgoing.bytes).substr(outgoing.sent), fds, MSG_DONTWAIT);
  if (!sent && sent.error().system_errno == EAGAIN) return size_t{0};
  return sent;
}

Status UnixChannel::Flush() {
  while (!queue_.empty()) {
    Outgoing& first = queue_.front();
    const auto result = SendSome(first);
    if (!result) {
      // The end is reported when reading comes to it.
      write_failed_ = true;
      queue_.clear();
      queued_ = 0;
      UpdateEvents();
      return tl::unexpected(result.error());
    }
    const size_t count = *result;
    if (count == 0) break;
    first.fds.clear();
    first.sent += count;
    queued_ -= count;
    if (first.sent < first.bytes.size()) break;
    queue_.pop_front();
  }
  UpdateEvents();
  return {};
}

void UnixChannel::UpdateEvents() {
  if (!watch_.active()) return;
  // Only a vanished watch can fail here, and it was just seen.
  uint32_t events = 0;
  if (!paused_) events |= EPOLLIN;
  if (!queue_.empty()) events |= EPOLLOUT;
  (void)watch_.SetEvents(events);
}

void UnixChannel::OnEvents(uint32_t events) {
  const std::weak_ptr<int> alive = alive_;
  BeginSession();
  if (alive.expired()) return;
  if (events & EPOLLOUT) {
    (void)Flush();
    if (had_no_room_ && HasRoom()) {
      had_no_room_ = false;
      if (callbacks_.on_room) callbacks_.on_room();
      if (alive.expired() || closed_) return;
    }
  }
  // A hang-up is reported even while reading is paused: what such a peer asked for is void.
  if (paused_ && (events & (EPOLLHUP | EPOLLERR)))
    return Close(Error{ErrorCode::kUnavailable, 0, "the peer closed the connection"});
  if (paused_ || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  auto received = Receive();
  // Whole messages that came before the end still count.
  auto dispatched = DispatchMessages(alive);
  if (alive.expired() || closed_) return;
  if (!dispatched) return Close(dispatched.error());
  if (!received) return Close(received.error());
}

Status UnixChannel::Receive() {
  char buffer[kReadChunk];  // on the stack, whose pages other readers use as well
  auto received = ReceiveWithDescriptors(socket_.get(), buffer, kMaxWaitingFds, MSG_DONTWAIT);
  if (!received && received.error().system_errno == EAGAIN) return {};
  if (!received) return tl::unexpected(std::move(received).error());
  input_.append(buffer, received->size);
  std::move(received->descriptors.begin(), received->descriptors.end(),
            std::back_inserter(received_fds_));
  if (received->size == 0) return Fail(ErrorCode::kUnavailable, "the peer closed the connection");
  if (received_fds_.size() > kMaxWaitingFds)
    return Fail(ErrorCode::kResourceExhausted, "the peer sent too many descriptors");
  return {};
}

Status UnixChannel::DispatchMessages(const std::weak_ptr<int>& alive) {
  size_t position = 0;
  while (!paused_ && input_.size() - position >= sizeof(Header)) {
    Header header;
    memcpy(&header, input_.data() + position, sizeof header);
    if (header.length > limits_.max_message || header.fd_count > limits_.max_fds)
      return Fail(ErrorCode::kInvalidArgument, "the peer announced {} bytes and {} descriptors",
                  header.length, header.fd_count);
    if (input_.size() - position - sizeof header < header.length) break;
    // They came with the header's first byte at the latest.
    if (received_fds_.size() < header.fd_count)
      return Fail(ErrorCode::kInvalidArgument, "{} of {} announced descriptors arrived",
                  received_fds_.size(), header.fd_count);
    Message message;
    message.type = static_cast<MessageType>(header.type);
    message.stream = header.stream;
    message.body.assign(input_, position + sizeof header, header.length);
    for (size_t i = 0; i < header.fd_count; ++i) {
      message.fds.push_back(std::move(received_fds_.front()));
      received_fds_.pop_front();
    }
    position += sizeof header + header.length;
    callbacks_.on_message(std::move(message));
    if (alive.expired() || closed_) return {};
  }
  input_.erase(0, position);
  if (input_.empty() && input_.capacity() > kReadChunk / 4) input_.shrink_to_fit();
  return {};
}

void UnixChannel::PauseReading(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  UpdateEvents();
  if (paused) return;
  // What was read before the pause.
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (alive.expired() || closed_ || paused_) return;
    auto dispatched = DispatchMessages(alive);
    if (!alive.expired() && !dispatched) Close(dispatched.error());
  });
}

void UnixChannel::Close(const Error& error) {
  if (closed_) return;
  closed_ = true;
  watch_.Cancel();
  socket_.Reset();
  queue_.clear();
  received_fds_.clear();
  queued_ = 0;
  // It may destroy this channel.
  auto on_closed = std::move(callbacks_.on_closed);
  if (on_closed) on_closed(error);
}

void UnixChannel::CloseSoon(ErrorCode code, const std::string& why) {
  watch_.Cancel();
  loop_.Post([this, alive = std::weak_ptr<int>(alive_), error = Error{code, 0, why}] {
    if (!alive.expired()) Close(error);
  });
}

}  // namespace

Result<std::unique_ptr<MessageChannel>> MakeUnixChannel(EventLoop& loop, UniqueFd socket,
                                                        ChannelLimits limits) {
  return std::unique_ptr<MessageChannel>(new UnixChannel(loop, std::move(socket), limits));
}

}  // namespace catamaran
