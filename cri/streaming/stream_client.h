#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/handshake.h"
#include "cri/streaming/stream_connection.h"
#include "cri/streaming/stream_tokens.h"

namespace catamaran {

// One client from its request for an upgrade to its end, on a thread and an io_context of its own:
// however slow it is, and however long its shim takes, no other client waits.
class StreamClient {
 public:
  // The connection, accepted. idle: after so long without a byte it is ended.
  StreamClient(int socket, bool ipv6, StreamTokens& tokens, std::chrono::seconds idle);
  ~StreamClient();
  // Returns when the client and what it ran are over, or after Stop.
  void Run();
  void Stop() { io_.stop(); }  // from any thread

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

  void OnRequest();
  void Refuse(unsigned status, const std::string& text,
              const std::vector<std::pair<std::string, std::string>>& headers = {});
  void UpgradeToSpdy(const StreamProtocol& protocol);
  void UpgradeToWebSocket(const StreamProtocol& protocol);
  void Begin(const StreamProtocol& protocol, std::unique_ptr<StreamConnection> connection);
  void WatchIdle();

  boost::asio::io_context io_{1};
  TcpSocket socket_;
  const int descriptor_;  // the socket's, whoever owns it by now
  StreamTokens& tokens_;
  const std::chrono::seconds idle_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  Parser parser_;
  std::string answer_;
  StreamTicket ticket_;
  std::unique_ptr<WebSocket> web_socket_;
  std::unique_ptr<StreamConnection> connection_;
  std::unique_ptr<StreamConnection::Listener> session_;
};

}  // namespace catamaran
