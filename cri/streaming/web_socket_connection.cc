#include "cri/streaming/web_socket_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "cri/base/base64.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kLongestText = 1 << 20;  // clients send some kilobytes at a time
constexpr int kEndOfChannel = 255;        // v5: the byte after it names the channel

}  // namespace

WebSocketConnection::WebSocketConnection(asio::io_context& io, std::unique_ptr<WebSocket> socket,
                                         StreamProtocol protocol, std::vector<Channel> channels)
    : io_(io),
      socket_(std::move(socket)),
      protocol_(std::move(protocol)),
      channels_(std::move(channels)),
      buffer_(kReadBytes) {
  socket_->binary(!protocol_.base64);
  socket_->read_message_max(0);  // what is large is handed on in parts
}

void WebSocketConnection::Start(Listener& listener) {
  listener_ = &listener;
  for (const Channel& channel : channels_)
    if (channel.greets) Queue(channel.number, channel.greeting);
  for (const Channel& channel : channels_) listener.OnOpen(channel.number, channel.headers);
  Read();
}

void WebSocketConnection::Read() {
  if (reading_ || paused_ || closed_) return;
  reading_ = true;
  socket_->async_read_some(asio::buffer(buffer_), [this](error_code error, size_t count) {
    if (closed_) return;
    if (error) return Close();
    last_activity_ = Clock::now();
    const std::string_view part(buffer_.data(), count);
    if (!finishing_) protocol_.base64 ? OnText(part) : OnPart(part);
    if (socket_->is_message_done()) channel_ = -1;
    reading_ = false;  // not before: the next read overwrites the part
    Read();
  });
}

void WebSocketConnection::OnPart(std::string_view part) {
  if (channel_ < 0 && !part.empty()) {
    channel_ = static_cast<unsigned char>(part.front());
    part.remove_prefix(1);
  }
  if (part.empty()) return;
  if (channel_ != kEndOfChannel) return Deliver(static_cast<uint32_t>(channel_), part);
  const auto ended = static_cast<uint32_t>(static_cast<unsigned char>(part.front()));
  if (protocol_.version >= 5 && Knows(ended)) listener_->OnEnd(ended);
}

void WebSocketConnection::OnText(std::string_view part) {
  text_ += part;
  if (text_.size() > kLongestText) return Abort();
  if (!socket_->is_message_done()) return;
  const std::string text = std::exchange(text_, {});
  if (text.empty() || text[0] < '0' || text[0] > '9') return;
  const auto bytes = DecodeBase64(std::string_view(text).substr(1));
  if (!bytes) return Abort();
  Deliver(static_cast<uint32_t>(text[0] - '0'), *bytes);
}

bool WebSocketConnection::Knows(uint32_t number) const {
  return std::any_of(channels_.begin(), channels_.end(),
                     [number](const Channel& channel) { return channel.number == number; });
}

void WebSocketConnection::Deliver(uint32_t channel, std::string_view bytes) {
  if (Knows(channel) && !bytes.empty()) listener_->OnData(channel, bytes);
}

void WebSocketConnection::Send(uint32_t stream, std::string_view bytes) {
  if (!bytes.empty() && Knows(stream)) Queue(stream, bytes);
}

void WebSocketConnection::Queue(uint32_t channel, std::string_view bytes) {
  if (closed_ || finishing_) return;
  std::string message(1, static_cast<char>(protocol_.base64 ? '0' + channel : channel));
  message += protocol_.base64 ? EncodeBase64(bytes) : std::string(bytes);
  queued_bytes_ += message.size();
  if (queued_bytes_ > kMostQueued) return Abort();
  queue_.push_back(std::move(message));
  if (queue_.size() == 1) Flush();
}

void WebSocketConnection::Flush() {
  if (closed_ || closing_) return;
  if (queue_.empty()) {
    if (!finishing_) return;
    closing_ = true;
    socket_->async_close(websocket::close_code::normal, [this](error_code) {
      if (!closed_) Close();
    });
    return;
  }
  socket_->async_write(asio::buffer(queue_.front()), [this](error_code error, size_t) {
    if (closed_) return;
    if (error) return Close();
    last_activity_ = Clock::now();
    const bool had_room = HasRoom();
    queued_bytes_ -= queue_.front().size();
    queue_.pop_front();
    Flush();
    if (!had_room && HasRoom() && !finishing_) listener_->OnRoom();
  });
}

void WebSocketConnection::PauseReading(bool paused) {
  paused_ = paused;
  Read();
}

void WebSocketConnection::Finish() {
  if (closed_ || finishing_) return;
  finishing_ = true;
  if (queue_.empty()) asio::post(io_, [this] { Flush(); });
}

void WebSocketConnection::Abort() {
  asio::post(io_, [this] {
    if (!closed_) Close();
  });
}

void WebSocketConnection::Close() {
  closed_ = true;
  error_code ignored;
  socket_->next_layer().close(ignored);
  listener_->OnClosed();
}

std::vector<WebSocketConnection::Channel> ProcessChannels(const StreamWants& wants) {
  std::vector<WebSocketConnection::Channel> channels;
  const auto add = [&channels](uint32_t number, const char* type) {
    channels.push_back({.number = number, .headers = {{"streamtype", type}}});
  };
  if (wants.out) add(1, "stdout");
  if (wants.err) add(2, "stderr");
  add(3, "error");
  channels.front().greets = true;  // the reference server's: what opens a client's channel
  if (wants.in) add(0, "stdin");
  if (wants.terminal) add(4, "resize");
  return channels;
}

std::vector<WebSocketConnection::Channel> PortChannels(const std::vector<uint16_t>& ports) {
  std::vector<WebSocketConnection::Channel> channels;
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string greeting = {static_cast<char>(ports[i] & 0xff),
                                  static_cast<char>(ports[i] >> 8)};
    for (const bool error : {false, true}) {
      channels.push_back({.number = static_cast<uint32_t>(2 * i + (error ? 1 : 0)),
                          .headers = {{"streamtype", error ? "error" : "data"},
                                      {"port", std::to_string(ports[i])},
                                      {"requestid", std::to_string(i)}},
                          .greets = true,
                          .greeting = greeting});
    }
  }
  return channels;
}

}  // namespace catamaran
