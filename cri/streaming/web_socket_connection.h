#pragma once

#include <boost/asio/io_context.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/handshake.h"
#include "cri/streaming/stream_connection.h"

namespace catamaran {

// Streams as *.channel.k8s.io carries them: numbered channels that are all open from the beginning,
// each message a channel's number and its bytes. Only v5 knows the end of one channel, and only
// from the client's side; a stream's end is therefore not sent.
class WebSocketConnection final : public StreamConnection {
 public:
  struct Channel {
    uint32_t number = 0;
    Headers headers;
    bool greets = false;
    std::string greeting;  // the first message on it, maybe empty
  };
  WebSocketConnection(boost::asio::io_context& io, std::unique_ptr<WebSocket> socket,
                      StreamProtocol protocol, std::vector<Channel> channels);

  void Start(Listener& listener) override;
  void Send(uint32_t stream, std::string_view bytes) override;
  void End(uint32_t) override {}
  void Reset(uint32_t) override {}
  bool HasRoom() const override { return queued_bytes_ < kClientRoom; }
  void PauseReading(bool paused) override;
  void Finish() override;
  void Abort() override;
  Clock::time_point last_activity() const override { return last_activity_; }

 private:
  void Read();
  void OnPart(std::string_view part);
  void OnText(std::string_view part);
  void Deliver(uint32_t channel, std::string_view bytes);
  bool Knows(uint32_t channel) const;
  void Queue(uint32_t channel, std::string_view bytes);
  void Flush();
  void Close();

  boost::asio::io_context& io_;
  std::unique_ptr<WebSocket> socket_;
  const StreamProtocol protocol_;
  const std::vector<Channel> channels_;
  Listener* listener_ = nullptr;
  std::vector<char> buffer_;
  std::string text_;               // of a base64 message, whose end has not come
  int channel_ = -1;               // of the message that is being read; -1: it begins
  std::deque<std::string> queue_;  // the first one is being written
  size_t queued_bytes_ = 0;
  bool reading_ = false, paused_ = false, finishing_ = false, closing_ = false, closed_ = false;
  Clock::time_point last_activity_ = Clock::now();
};

// The channels of a process's streams, and of a list of ports: a pair for each, data before error.
std::vector<WebSocketConnection::Channel> ProcessChannels(const StreamWants& wants);
std::vector<WebSocketConnection::Channel> PortChannels(const std::vector<uint16_t>& ports);

}  // namespace catamaran
