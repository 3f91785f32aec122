#include "e2e/harness/streaming_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr size_t kKept = 64 << 10;

// "http://127.0.0.1:4711/exec/TOKEN".
Result<UniqueFd> Connect(const std::string& url, std::string* path) {
  const size_t host = url.find("//") + 2, colon = url.find(':', host), slash = url.find('/', host);
  if (colon == std::string::npos || slash == std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "no URL of a streaming server: {}", url);
  *path = url.substr(slash);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(colon + 1, slash))));
  inet_pton(AF_INET, url.substr(host, colon - host).c_str(), &address.sin_addr);
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return FailWithErrno("connect to {}", url);
  return socket;
}

}  // namespace

Result<StreamingClient> StreamingClient::Open(const std::string& url, const std::string& protocol) {
  std::string path;
  ASSIGN_OR_RETURN(UniqueFd socket, Connect(url, &path));
  RETURN_IF_ERROR(
      WriteAll(socket.get(), fmt::format("POST {} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                                         "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {}\r\n"
                                         "Content-Length: 0\r\n\r\n",
                                         path, protocol)));
  std::string head;
  char c;
  while (!head.ends_with("\r\n\r\n") && read(socket.get(), &c, 1) == 1) head.push_back(c);
  if (!head.starts_with("HTTP/1.1 101"))
    return Fail(ErrorCode::kUnavailable, "the streaming server says {}", head);
  return StreamingClient(std::move(socket));
}

Result<uint32_t> StreamingClient::OpenStream(const SpdyHeaders& headers) {
  const uint32_t stream = next_;
  next_ += 2;
  std::string out;
  encoder_->SynStream(stream, headers, &out);
  RETURN_IF_ERROR(WriteAll(socket_.get(), out));
  RETURN_IF_ERROR(ReadUntil([&] { return replied_.contains(stream) || reset_.contains(stream); }));
  if (!replied_.contains(stream) && !reset_.contains(stream))
    return Fail(ErrorCode::kUnavailable, "the streaming server has closed");
  return stream;
}

Status StreamingClient::Send(uint32_t stream, std::string_view bytes, bool end) {
  std::string out;
  encoder_->Data(stream, bytes, end, &out);
  return WriteAll(socket_.get(), out);
}

Status StreamingClient::ReadUntil(const std::function<bool()>& condition) {
  while (!condition()) {
    ASSIGN_OR_RETURN(const bool more, ReadSome());
    if (!more) break;
  }
  return {};
}

Status StreamingClient::ReadToEnd(uint32_t stream) {
  return ReadUntil([&] { return ended(stream) || reset(stream); });
}

uint64_t StreamingClient::count(uint32_t stream) const {
  const auto found = received_.find(stream);
  return found == received_.end() ? 0 : found->second.count;
}

std::string StreamingClient::text(uint32_t stream) const {
  const auto found = received_.find(stream);
  return found == received_.end() ? "" : found->second.text;
}

Result<bool> StreamingClient::ReadSome() {
  const ssize_t size = read(socket_.get(), buffer_.data(), buffer_.size());
  if (size < 0) return FailWithErrno("read from the streaming server");
  if (size == 0) return false;
  RETURN_IF_ERROR(decoder_->Decode({buffer_.data(), static_cast<size_t>(size)},
                                   [this](const SpdyFrame& frame) { Take(frame); }));
  return true;
}

void StreamingClient::Take(const SpdyFrame& frame) {
  using Type = SpdyFrame::Type;
  if (frame.type == Type::kSynReply) replied_.insert(frame.stream);
  if (frame.type == Type::kReset) reset_.insert(frame.stream);
  if (frame.end) ended_.insert(frame.stream);
  if (frame.type != Type::kData) return;
  Received& received = received_[frame.stream];
  received.count += frame.data.size();
  if (received.text.size() < kKept)
    received.text += frame.data.substr(0, kKept - received.text.size());
}

}  // namespace catamaran::e2e
