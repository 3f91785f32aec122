#include "shim/client/shim_connection.h"

#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

constexpr std::chrono::milliseconds kReconnectDelay(50);
// How long a dead shim's last words may take to be read.
constexpr std::chrono::milliseconds kLastWords(200);

}  // namespace

Error ShimConnection::reason() const {
  return {ErrorCode::kUnavailable, 0,
          gone_ ? "the shim is gone" : "the connection to the shim is broken"};
}

void ShimConnection::Open(Completion<pod::HelloResponse> done) {
  auto watch = loop_.WatchProcess(pidfd_.get(), [this, self = weak_from_this()] {
    if (auto keep = self.lock()) OnProcessEnd();
  });
  if (!watch) return done(tl::unexpected(std::move(watch).error()));
  process_watch_ = std::move(*watch);
  Connect(std::move(done));
}

void ShimConnection::Connect(Completion<pod::HelloResponse> done) {
  auto socket = ConnectUnix(paths_.socket().string());
  if (!socket) return done(tl::unexpected(std::move(socket).error()));
  auto channel = MakeUnixChannel(loop_, std::move(*socket));
  if (!channel) return done(tl::unexpected(std::move(channel).error()));
  client_ = std::make_unique<BackendClient>(loop_, std::move(*channel));
  const std::weak_ptr<ShimConnection> self = weak_from_this();
  auto started = client_->Start([self](const Error& error) {
    if (auto keep = self.lock()) keep->OnDisconnected(error);
  });
  if (!started) {
    client_.reset();
    return done(tl::unexpected(std::move(started).error()));
  }
  client_->SetEventSink([self](const pod::Event& event) {
    auto keep = self.lock();
    if (keep && !keep->muted_ && keep->events_.on_event) keep->events_.on_event(event);
  });
  client_->Hello([self, done = std::move(done)](Result<pod::HelloResponse> hello) mutable {
    if (auto keep = self.lock(); keep && hello) keep->opened_ = true;
    done(std::move(hello));
  });
}

void ShimConnection::OnDisconnected(const Error&) {
  // It is in the middle of its own callback.
  loop_.Post([client = std::shared_ptr<BackendClient>(std::move(client_))] {});
  if (process_ended_) return Finish();
  if (closed_ || !opened_) return;
  Reconnect();
}

// The shim lives: it dropped us because we did not read, or we broke the protocol.
void ShimConnection::Reconnect() {
  auto timer = loop_.RunAfter(kReconnectDelay, [self = weak_from_this()] {
    auto keep = self.lock();
    if (!keep || keep->closed_ || keep->process_ended_ || keep->client_) return;
    keep->Connect([self](const Result<pod::HelloResponse>& hello) {
      auto keep = self.lock();
      if (!keep || keep->closed_ || keep->process_ended_) return;
      if (hello) return keep->TellMissedExits();
      // Where there is a client left, its end tries again.
      if (!keep->client_) keep->Reconnect();
    });
  });
  if (timer) timer_ = std::move(*timer);
}

void ShimConnection::TellMissedExits() {
  client_->List([self = weak_from_this()](Result<pod::ListResponse> list) {
    auto keep = self.lock();
    if (!keep || !list) return;
    for (const auto& container : list->containers()) {
      if (container.state() != spec::EXITED || keep->muted_ || !keep->events_.on_event) continue;
      pod::Event event;
      event.mutable_exited()->mutable_process()->set_container_id(container.container_id());
      *event.mutable_exited()->mutable_exit() = container.exit();
      keep->events_.on_event(event);
    }
  });
}

void ShimConnection::OnProcessEnd() {
  process_ended_ = true;
  process_watch_.Cancel();
  if (!client_) return Finish();
  // What it said last may still be unread; the end of the connection follows it. A container's
  // unstarted process may hold the other end of the socket, so nobody waits for long.
  auto timer = loop_.RunAfter(kLastWords, [self = weak_from_this()] {
    if (auto keep = self.lock()) keep->Finish();
  });
  if (!timer) return Finish();
  timer_ = std::move(*timer);
}

void ShimConnection::Finish() {
  if (gone_) return;
  const auto keep = shared_from_this();
  timer_.Cancel();
  gone_ = true;
  if (auto client = std::move(client_)) client->Disconnect(reason());
  if (!muted_ && events_.on_gone) events_.on_gone();
  {
    std::lock_guard lock(mutex_);
    finished_ = true;
  }
  went_.notify_all();
}

bool ShimConnection::WaitGone(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return went_.wait_for(lock, deadline.Remaining(), [this] { return finished_; });
}

void ShimConnection::Close() {
  closed_ = true;
  muted_ = true;
  process_watch_.Cancel();
  timer_.Cancel();
  if (auto client = std::move(client_))
    client->Disconnect({ErrorCode::kUnavailable, 0, "the shim's client was closed"});
}

}  // namespace catamaran
