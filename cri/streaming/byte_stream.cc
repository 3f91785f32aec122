#include "cri/streaming/byte_stream.h"

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <vector>

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr size_t kReadBytes = 64 << 10;

class TcpByteStream final : public ByteStream {
 public:
  TcpByteStream(TcpSocket socket, std::string first)
      : socket_(std::move(socket)), first_(std::move(first)), buffer_(kReadBytes) {}

  void Read(std::function<void(std::string_view)> done) override {
    if (!first_.empty()) {
      buffer_.assign(first_.begin(), first_.end());
      first_.clear();
      return asio::post(socket_.get_executor(), [this, done = std::move(done)] {
        const std::string_view bytes(buffer_.data(), buffer_.size());
        done(bytes);
      });
    }
    buffer_.resize(kReadBytes);
    socket_.async_read_some(
        asio::buffer(buffer_), [this, done = std::move(done)](error_code error, size_t count) {
          done(error ? std::string_view() : std::string_view(buffer_.data(), count));
        });
  }
  void Write(const std::string& bytes, std::function<void(bool)> done) override {
    asio::async_write(socket_, asio::buffer(bytes),
                      [done = std::move(done)](error_code error, size_t) { done(!error); });
  }
  void EndWriting() override {
    error_code ignored;
    socket_.shutdown(TcpSocket::shutdown_send, ignored);
  }
  void Close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  TcpSocket socket_;
  std::string first_;
  std::vector<char> buffer_;
};

class WebSocketByteStream final : public ByteStream {
 public:
  explicit WebSocketByteStream(std::unique_ptr<WebSocket> socket)
      : socket_(std::move(socket)), buffer_(kReadBytes) {
    socket_->binary(true);
  }

  void Read(std::function<void(std::string_view)> done) override {
    socket_->async_read_some(asio::buffer(buffer_), [this, done = std::move(done)](
                                                        error_code error, size_t count) mutable {
      if (!error && count == 0) return Read(std::move(done));  // an empty message
      done(error ? std::string_view() : std::string_view(buffer_.data(), count));
    });
  }
  void Write(const std::string& bytes, std::function<void(bool)> done) override {
    socket_->async_write(asio::buffer(bytes),
                         [done = std::move(done)](error_code error, size_t) { done(!error); });
  }
  void EndWriting() override {
    socket_->async_close(websocket::close_code::normal, [](error_code) {});
  }
  void Close() override {
    error_code ignored;
    socket_->next_layer().close(ignored);
  }

 private:
  std::unique_ptr<WebSocket> socket_;
  std::vector<char> buffer_;
};

}  // namespace

std::unique_ptr<ByteStream> MakeTcpByteStream(TcpSocket socket, std::string first) {
  return std::make_unique<TcpByteStream>(std::move(socket), std::move(first));
}

std::unique_ptr<ByteStream> MakeWebSocketByteStream(std::unique_ptr<WebSocket> socket) {
  return std::make_unique<WebSocketByteStream>(std::move(socket));
}

}  // namespace catamaran
