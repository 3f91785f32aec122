#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cri/streaming/stream_connection.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Sends what a descriptor gives over one stream, as fast as the client takes it. Made non-blocking;
// destroying it closes the descriptor.
class DescriptorSource {
 public:
  // on_end: once, when nothing more will be read; not from within the constructor.
  DescriptorSource(boost::asio::io_context& io, UniqueFd fd, StreamConnection& connection,
                   uint32_t stream, std::function<void()> on_end);

  void OnRoom() { Wait(); }
  // From now on what is read is dropped: its writer goes on, nobody is interested.
  void Discard();
  // The writer is gone. Whoever inherited the descriptor from it may keep it open for ever: a
  // second without a byte is the end too.
  void EndWhenQuiet();
  bool ended() const { return ended_; }

 private:
  void Wait();
  void AwaitQuiet();
  void ReadSome();
  void End();

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer quiet_;
  StreamConnection& connection_;
  const uint32_t stream_;
  std::function<void()> on_end_;
  std::vector<char> buffer_;
  bool waiting_ = false, discards_ = false, ended_ = false;
  bool ends_when_quiet_ = false, quiet_is_over_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // a handler may be due when this ends
};

// Writes a stream's bytes to a descriptor as fast as its reader takes them. As above.
class DescriptorSink {
 public:
  enum class AtEnd { kClose, kShutDown };  // kShutDown: a socket, which is still read
  // on_change: full() or ended() may have changed.
  DescriptorSink(boost::asio::io_context& io, UniqueFd fd, AtEnd at_end,
                 std::function<void()> on_change);

  void Write(std::string_view bytes);
  void End();  // once everything is written
  // Holds so much that the client had better not send more.
  bool full() const { return !ended_ && pending_.size() >= kClientRoom; }
  bool ended() const { return ended_; }

 private:
  void Flush();
  void Finish();

  boost::asio::posix::stream_descriptor descriptor_;
  const AtEnd at_end_;
  std::function<void()> on_change_;
  std::string pending_;
  bool waiting_ = false, ending_ = false, ended_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace catamaran
