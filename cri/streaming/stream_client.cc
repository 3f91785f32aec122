#include "cri/streaming/stream_client.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include "cri/base/text.h"
#include "cri/streaming/forward_session.h"
#include "cri/streaming/process_session.h"
#include "cri/streaming/spdy_connection.h"
#include "cri/streaming/web_socket_connection.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using std::chrono::seconds;

constexpr seconds kHandshakeLimit{10};
constexpr seconds kWatchInterval{10};
constexpr uint32_t kLongestRequest = 64 << 10;

// One whose bytes are not read at the moment is not heard to leave.
bool HasLeft(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state != TCP_ESTABLISHED;
}

}  // namespace

StreamClient::StreamClient(int socket, bool ipv6, StreamTokens& tokens, seconds idle)
    : socket_(io_), descriptor_(socket), tokens_(tokens), idle_(idle), timer_(io_) {
  error_code error;
  socket_.assign(ipv6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket, error);
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  socket_.set_option(asio::socket_base::keep_alive(true), error);
  parser_.header_limit(kLongestRequest);
}

StreamClient::~StreamClient() = default;

void StreamClient::Run() {
  timer_.expires_after(kHandshakeLimit);
  timer_.async_wait([this](error_code error) {
    if (!error) io_.stop();
  });
  http::async_read_header(socket_, buffer_, parser_, [this](error_code error, size_t) {
    if (!error) return OnRequest();
    const bool gone = error == http::error::end_of_stream || error == http::error::partial_message;
    if (gone || error.category() != http::make_error_code(http::error::bad_method).category())
      return io_.stop();
    Refuse(400, "this is no HTTP request: " + error.message());
  });
  io_.run();
}

void StreamClient::OnRequest() {
  const auto& request = parser_.get();
  if (request.method() != http::verb::get && request.method() != http::verb::post)
    return Refuse(405, "GET and POST are the methods of a streaming URL");
  const std::string target(request.target());
  // What the URL's query says was said by the CRI request, which alone counts.
  auto ticket = tokens_.Take(target.substr(0, target.find('?')));
  if (!ticket) {
    return Refuse(404, "no such streaming URL: each is good once, for a minute; ask for another");
  }
  ticket_ = std::move(*ticket);
  UpgradeRequest upgrade;
  for (const auto& field : request) {
    upgrade.headers.emplace_back(ToLower(std::string(field.name_string())),
                                 std::string(field.value()));
  }
  const auto protocol = ChooseProtocol(upgrade, ticket_.kind);
  if (!protocol)
    return Refuse(protocol.error().status, protocol.error().text, protocol.error().headers);
  if (protocol->carrier == StreamProtocol::Carrier::kSpdy) return UpgradeToSpdy(*protocol);
  UpgradeToWebSocket(*protocol);
}

void StreamClient::Refuse(unsigned status, const std::string& text,
                          const std::vector<std::pair<std::string, std::string>>& headers) {
  answer_ = fmt::format("HTTP/1.1 {} {}\r\n", status,
                        std::string(http::obsolete_reason(http::int_to_status(status))));
  for (const auto& [name, value] : headers) answer_ += fmt::format("{}: {}\r\n", name, value);
  answer_ += fmt::format(
      "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n"
      "{}\n",
      text.size() + 1, text);
  asio::async_write(socket_, asio::buffer(answer_), [this](error_code, size_t) { io_.stop(); });
}

void StreamClient::UpgradeToSpdy(const StreamProtocol& protocol) {
  answer_ = fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
      "X-Stream-Protocol-Version: {}\r\n\r\n",
      protocol.name);
  asio::async_write(socket_, asio::buffer(answer_), [this, protocol](error_code error, size_t) {
    if (error) return io_.stop();
    const auto rest = buffer_.cdata();
    std::string first(static_cast<const char*>(rest.data()), rest.size());
    Begin(protocol, std::make_unique<SpdyConnection>(
                        io_, MakeTcpByteStream(std::move(socket_), std::move(first))));
  });
}

void StreamClient::UpgradeToWebSocket(const StreamProtocol& protocol) {
  web_socket_ = std::make_unique<WebSocket>(std::move(socket_));
  web_socket_->set_option(
      websocket::stream_base::timeout{kHandshakeLimit, websocket::stream_base::none(), false});
  web_socket_->set_option(
      websocket::stream_base::decorator([name = protocol.name](websocket::response_type& answer) {
        if (!name.empty()) answer.set(http::field::sec_websocket_protocol, name);
      }));
  web_socket_->async_accept(parser_.get(), [this, protocol](error_code error) {
    if (error) return io_.stop();
    if (protocol.carrier == StreamProtocol::Carrier::kSpdyInWebSocket) {
      return Begin(protocol, std::make_unique<SpdyConnection>(
                                 io_, MakeWebSocketByteStream(std::move(web_socket_))));
    }
    auto channels = ticket_.process ? ProcessChannels(ticket_.wants) : PortChannels(ticket_.ports);
    Begin(protocol, std::make_unique<WebSocketConnection>(io_, std::move(web_socket_), protocol,
                                                          std::move(channels)));
  });
}

void StreamClient::Begin(const StreamProtocol& protocol,
                         std::unique_ptr<StreamConnection> connection) {
  connection_ = std::move(connection);
  const auto done = [this] { io_.stop(); };
  if (ticket_.process) {
    session_ = std::make_unique<ProcessSession>(io_, *connection_, *ticket_.process, ticket_.wants,
                                                protocol.version, done);
  } else {
    const bool numbered = protocol.carrier == StreamProtocol::Carrier::kWebSocket;
    session_ = std::make_unique<ForwardSession>(io_, *connection_, *ticket_.target,
                                                numbered ? ticket_.ports.size() : 0, done);
  }
  connection_->Start(*session_);
  WatchIdle();
}

void StreamClient::WatchIdle() {
  timer_.expires_after(std::min(kWatchInterval, idle_));
  timer_.async_wait([this](error_code error) {
    if (error) return;
    const bool idle = StreamConnection::Clock::now() - connection_->last_activity() >= idle_;
    if (idle || HasLeft(descriptor_)) return connection_->Abort();
    WatchIdle();
  });
}

}  // namespace catamaran
