#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cri/telemetry/metrics_server.h"

namespace catamaran {

using LocalStream = boost::beast::basic_stream<boost::asio::local::stream_protocol>;
using TlsStream = boost::beast::ssl_stream<boost::beast::tcp_stream>;

// One client, for as long as its callbacks hold it. On the server's thread only.
template <typename Stream>
class MetricsSession : public std::enable_shared_from_this<MetricsSession<Stream>> {
 public:
  MetricsSession(Stream stream, const MetricsServer::Producer& produce,
                 std::shared_ptr<const void> kept)
      : kept_(std::move(kept)), stream_(std::move(stream)), produce_(produce) {}

  void Run() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      Wait();
      stream_.async_handshake(boost::asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](Code error) {
                                if (!error) self->Read();
                              });
    } else {
      Read();
    }
  }

 private:
  using Code = boost::system::error_code;
  using Text = boost::beast::http::string_body;
  static constexpr uint32_t kMostHeader = 8192;
  static constexpr uint64_t kMostBody = 1024;  // a scrape has none

  void Wait() { boost::beast::get_lowest_layer(stream_).expires_after(MetricsServer::kPatience); }

  void Read() {
    parser_.emplace();
    parser_->header_limit(kMostHeader);
    parser_->body_limit(kMostBody);
    Wait();
    boost::beast::http::async_read(stream_, buffer_, *parser_,
                                   [self = this->shared_from_this()](Code error, size_t) {
                                     if (!error) self->Answer();
                                   });
  }

  void Answer() {
    namespace http = boost::beast::http;
    const auto& request = parser_->get();
    const auto target = request.target();
    const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
    response_ = http::response<Text>(http::status::ok, request.version());
    response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    if (target.substr(0, target.find('?')) != "/metrics") {
      response_.result(http::status::not_found);
      response_.body() = "there is only /metrics here\n";
    } else if (!reads) {
      response_.result(http::status::method_not_allowed);
      response_.body() = "metrics are read by GET\n";
    } else {
      response_.body() = produce_();
    }
    response_.keep_alive(request.keep_alive());
    response_.prepare_payload();
    if (request.method() == http::verb::head) response_.body().clear();
    Wait();
    http::async_write(stream_, response_, [self = this->shared_from_this()](Code error, size_t) {
      if (error || !self->response_.keep_alive()) return self->End();
      self->Read();
    });
  }

  void End() {
    Code ignored;
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      stream_.async_shutdown([self = this->shared_from_this()](Code) {});
    } else {
      stream_.socket().shutdown(boost::asio::socket_base::shutdown_send, ignored);
    }
  }

  const std::shared_ptr<const void>
      kept_;  // what the stream needs, and its place among the clients
  Stream stream_;
  const MetricsServer::Producer& produce_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<Text>> parser_;
  boost::beast::http::response<Text> response_;
};

}  // namespace catamaran
