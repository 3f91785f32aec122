#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/spdy_codec.h"
#include "cri/streaming/stream_connection.h"

namespace catamaran {

// Streams as SPDY/3.1 carries them, without flow control: no client of Kubernetes has any.
class SpdyConnection final : public StreamConnection {
 public:
  SpdyConnection(boost::asio::io_context& io, std::unique_ptr<ByteStream> bytes)
      : io_(io), linger_(io), bytes_(std::move(bytes)) {}

  void Start(Listener& listener) override;
  void Send(uint32_t stream, std::string_view bytes) override;
  void End(uint32_t stream) override;
  void Reset(uint32_t stream) override;
  bool HasRoom() const override { return queued_.size() + writing_.size() < kClientRoom; }
  void PauseReading(bool paused) override;
  void Finish() override;
  void Abort() override;
  Clock::time_point last_activity() const override { return last_activity_; }

 private:
  struct Stream {
    bool client_ended = false, ended = false;
  };
  void Read();
  void OnBytes(std::string_view bytes);
  void OnFrame(const SpdyFrame& frame);
  void OnData(const SpdyFrame& frame);
  void OnSynStream(const SpdyFrame& frame);
  void Flush();
  void OnWritten(bool written);
  void ForgetIfEnded(uint32_t stream);
  void Close();

  boost::asio::io_context& io_;
  boost::asio::steady_timer linger_;
  std::unique_ptr<ByteStream> bytes_;
  Listener* listener_ = nullptr;
  SpdyDecoder decoder_;
  SpdyEncoder encoder_;
  std::map<uint32_t, Stream> streams_;
  uint32_t last_stream_ = 0;
  std::string queued_, writing_;
  bool reading_ = false, paused_ = false, finishing_ = false, ended_ = false, closed_ = false;
  Clock::time_point last_activity_ = Clock::now();
};

}  // namespace catamaran
