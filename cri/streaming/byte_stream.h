#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace catamaran {

using TcpSocket = boost::asio::ip::tcp::socket;
using WebSocket = boost::beast::websocket::stream<TcpSocket>;

// Bytes to and from a client: its TCP connection, or the binary messages of its WebSocket, whose
// borders mean nothing. One read and one write at a time; destroying it cancels both.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // `done` gets what has come, good until the next read; nothing at the end or after an error.
  virtual void Read(std::function<void(std::string_view)> done) = 0;
  // All of `bytes`, which stay as they are until then.
  virtual void Write(const std::string& bytes, std::function<void(bool written)> done) = 0;
  // Nothing more will be written: the client sees the end.
  virtual void EndWriting() = 0;
  virtual void Close() = 0;
};

// first: what was already read behind the client's request.
std::unique_ptr<ByteStream> MakeTcpByteStream(TcpSocket socket, std::string first);
std::unique_ptr<ByteStream> MakeWebSocketByteStream(std::unique_ptr<WebSocket> socket);

}  // namespace catamaran
