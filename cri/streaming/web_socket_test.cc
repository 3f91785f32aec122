// The server with clients made of Boost.Beast's WebSocket.
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "cri/base/base64.h"
#include "cri/streaming/testing/streaming_lab.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

using StreamingWebSocketTest = StreamingLab;

// A WebSocket client that reads messages.
class WebClient {
 public:
  WebClient(const std::string& url, const std::string& protocol)
      : text_(protocol.find("base64") != std::string::npos) {
    const Url parts = Split(url);
    socket_.next_layer().connect({asio::ip::address_v4::loopback(), parts.port});
    socket_.set_option(beast::websocket::stream_base::decorator(
        [protocol](beast::websocket::request_type& request) {
          if (!protocol.empty()) request.set(beast::http::field::sec_websocket_protocol, protocol);
        }));
    beast::websocket::response_type answer;
    socket_.handshake(answer, "localhost", parts.path, error_);
    chosen_ = std::string(answer[beast::http::field::sec_websocket_protocol]);
    socket_.text(text_);
  }
  void Send(int channel, const std::string& bytes) {
    std::string message(1, static_cast<char>(text_ ? '0' + channel : channel));
    message += text_ ? EncodeBase64(bytes) : bytes;
    socket_.write(asio::buffer(message), error_);
  }
  void SendRaw(const std::string& message) { socket_.write(asio::buffer(message), error_); }
  // False where the server has closed.
  bool ReadOne() {
    beast::flat_buffer buffer;
    socket_.read(buffer, error_);
    if (error_) return false;
    const std::string message = beast::buffers_to_string(buffer.data());
    const int channel = text_ ? message[0] - '0' : static_cast<unsigned char>(message[0]);
    first.try_emplace(channel, message.substr(1));
    data[channel] += text_ ? *DecodeBase64(message.substr(1)) : message.substr(1);
    return true;
  }
  int CloseCode() {
    while (ReadOne()) {
    }
    return error_ == beast::websocket::error::closed ? socket_.reason().code : -1;
  }
  std::map<int, std::string> data, first;
  std::string chosen() const { return chosen_; }
  bool failed() const { return static_cast<bool>(error_); }

 private:
  const bool text_;
  asio::io_context io_;
  beast::websocket::stream<tcp::socket> socket_{io_};
  error_code error_;
  std::string chosen_;
};

TEST_F(StreamingWebSocketTest, CarriesAProcessOverWebSocket) {
  for (const std::string protocol :
       {"v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io",
        "base64.channel.k8s.io", ""}) {
    SCOPED_TRACE(protocol);
    // Only v5 can end the input; before it the program must end by itself.
    const bool half_closes = protocol.starts_with("v5");
    auto what = half_closes ? FakeProcess::What::kEcho : FakeProcess::What::kFlood;
    WebClient client(Offer(std::make_unique<FakeProcess>(what, facts_, 3)), protocol);
    ASSERT_FALSE(client.failed());
    EXPECT_EQ(client.chosen(), protocol);
    if (half_closes) {
      client.Send(0, "hello");
      while (client.data[1].size() < 5 && client.ReadOne()) {
      }
      client.SendRaw(std::string("\xff\x00", 2));
    }
    EXPECT_EQ(client.CloseCode(), 1000);
    EXPECT_EQ(client.first[1], "");  // the greeting
    EXPECT_EQ(client.data[1], half_closes ? "hello" : std::string(size_t{4096} * 4096, '\0'));
    const bool json = protocol.starts_with("v");
    EXPECT_EQ(client.data[3].starts_with("{"), json) << client.data[3];
    EXPECT_NE(client.data[3].find(json ? "NonZeroExitCode" : "exit status 3"), std::string::npos);
  }
}

TEST_F(StreamingWebSocketTest, ForwardsNumberedPortsOverWebSocket) {
  WebClient client(OfferPorts({80, 1}), "v4.base64.channel.k8s.io");
  ASSERT_FALSE(client.failed());
  client.Send(0, "ping");
  while (client.data[0].size() < 6 && client.ReadOne()) {
  }
  EXPECT_EQ(client.data[0], std::string("P\0ping", 6));
  while (client.data[3].size() < 3 && client.ReadOne()) {
  }
  EXPECT_EQ(client.data[3].substr(0, 2), std::string("\x01\0", 2));
  EXPECT_NE(client.data[3].find("connection refused"), std::string::npos);
}

TEST_F(StreamingWebSocketTest, RefusesAWebSocketWithoutACommonProtocol) {
  EXPECT_TRUE(WebClient(OfferEcho(), "chat").failed());
  EXPECT_TRUE(WebClient(OfferPorts({80}), "v5.channel.k8s.io").failed());
}

}  // namespace
}  // namespace catamaran
