#include "cri/streaming/descriptor_pumps.h"

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr size_t kReadBytes = 32 << 10;
constexpr int kReadsAtOnce = 8;  // then the others have a turn
constexpr std::chrono::seconds kQuiet{1};

}  // namespace

DescriptorSource::DescriptorSource(boost::asio::io_context& io, UniqueFd fd,
                                   StreamConnection& connection, uint32_t stream,
                                   std::function<void()> on_end)
    : descriptor_(io),
      quiet_(io),
      connection_(connection),
      stream_(stream),
      on_end_(std::move(on_end)),
      buffer_(kReadBytes) {
  error_code error;
  (void)SetNonBlocking(fd.get());
  descriptor_.assign(fd.get(), error);
  if (error) {
    boost::asio::post(io, [this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) End();
    });
    return;
  }
  (void)fd.Release();
  Wait();
}

void DescriptorSource::Discard() {
  discards_ = true;
  Wait();
}

void DescriptorSource::EndWhenQuiet() {
  ends_when_quiet_ = true;
  if (waiting_) AwaitQuiet();
}

// While the client has no room nobody looks, and no time passes.
void DescriptorSource::AwaitQuiet() {
  quiet_.expires_after(kQuiet);
  quiet_.async_wait([this, alive = std::weak_ptr<int>(alive_)](error_code error) {
    if (error || alive.expired()) return;
    quiet_is_over_ = true;
    ReadSome();
  });
}

void DescriptorSource::Wait() {
  if (ended_ || (!discards_ && !connection_.HasRoom())) return;
  if (ends_when_quiet_) AwaitQuiet();
  if (std::exchange(waiting_, true)) return;
  descriptor_.async_wait(stream_descriptor::wait_read,
                         [this, alive = std::weak_ptr<int>(alive_)](error_code error) {
                           if (error || alive.expired()) return;
                           waiting_ = false;
                           ReadSome();
                         });
}

void DescriptorSource::ReadSome() {
  if (ended_) return;
  for (int i = 0; i < kReadsAtOnce && (discards_ || connection_.HasRoom()); ++i) {
    const ssize_t count = read(descriptor_.native_handle(), buffer_.data(), buffer_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN && !quiet_is_over_) break;
    if (count <= 0) return End();
    quiet_is_over_ = false;
    if (!discards_) connection_.Send(stream_, {buffer_.data(), static_cast<size_t>(count)});
  }
  Wait();
}

void DescriptorSource::End() {
  if (std::exchange(ended_, true)) return;
  quiet_.cancel();
  error_code ignored;
  descriptor_.close(ignored);
  on_end_();
}

DescriptorSink::DescriptorSink(boost::asio::io_context& io, UniqueFd fd, AtEnd at_end,
                               std::function<void()> on_change)
    : descriptor_(io), at_end_(at_end), on_change_(std::move(on_change)) {
  error_code error;
  (void)SetNonBlocking(fd.get());
  descriptor_.assign(fd.get(), error);
  if (error)
    ended_ = true;
  else
    (void)fd.Release();
}

void DescriptorSink::Write(std::string_view bytes) {
  if (ended_ || ending_) return;
  pending_ += bytes;
  Flush();
}

void DescriptorSink::End() {
  if (ended_ || ending_) return;
  ending_ = true;
  Flush();
}

void DescriptorSink::Flush() {
  if (waiting_) return;
  size_t written = 0;
  while (written < pending_.size()) {
    const ssize_t count =
        write(descriptor_.native_handle(), pending_.data() + written, pending_.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return Finish();  // nobody reads it any more
    written += static_cast<size_t>(count);
  }
  pending_.erase(0, written);
  if (pending_.empty()) {
    if (ending_) return Finish();
    return on_change_();
  }
  waiting_ = true;
  descriptor_.async_wait(stream_descriptor::wait_write,
                         [this, alive = std::weak_ptr<int>(alive_)](error_code error) {
                           if (error || alive.expired() || ended_) return;
                           waiting_ = false;
                           Flush();
                         });
  on_change_();
}

void DescriptorSink::Finish() {
  ended_ = true;
  pending_.clear();
  error_code ignored;
  if (at_end_ == AtEnd::kShutDown) shutdown(descriptor_.native_handle(), SHUT_WR);
  descriptor_.close(ignored);
  on_change_();
}

}  // namespace catamaran
