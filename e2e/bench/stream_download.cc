#include "e2e/bench/stream_download.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "cri/streaming/spdy_codec.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

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

class Client {
 public:
  static Result<Client> Open(const std::string& url, const std::string& protocol) {
    std::string path;
    ASSIGN_OR_RETURN(UniqueFd socket, Connect(url, &path));
    RETURN_IF_ERROR(WriteAll(
        socket.get(), fmt::format("POST {} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\n"
                                  "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {}\r\n"
                                  "Content-Length: 0\r\n\r\n",
                                  path, protocol)));
    std::string head;
    char c;
    while (!head.ends_with("\r\n\r\n") && read(socket.get(), &c, 1) == 1) head.push_back(c);
    if (!head.starts_with("HTTP/1.1 101"))
      return Fail(ErrorCode::kUnavailable, "the streaming server says {}", head);
    return Client(std::move(socket));
  }

  Result<uint32_t> OpenStream(const SpdyHeaders& headers) {
    const uint32_t stream = next_;
    next_ += 2;
    std::string out;
    encoder_->SynStream(stream, headers, &out);
    RETURN_IF_ERROR(WriteAll(socket_.get(), out));
    while (!replied_.contains(stream)) {
      ASSIGN_OR_RETURN(const bool more, ReadSome());
      if (!more) return Fail(ErrorCode::kUnavailable, "the streaming server has closed");
    }
    return stream;
  }
  // Until the stream ends; its bytes are counted, those of others kept.
  Status ReadToEnd(uint32_t counted) {
    counted_ = counted;
    while (!ended_.contains(counted)) {
      ASSIGN_OR_RETURN(const bool more, ReadSome());
      if (!more) break;
    }
    return {};
  }
  // Until the server closes.
  Status ReadRest() {
    for (bool more = true; more;) {
      ASSIGN_OR_RETURN(more, ReadSome());
    }
    return {};
  }
  uint64_t count() const { return count_; }
  const std::string& others() const { return others_; }

 private:
  explicit Client(UniqueFd socket) : socket_(std::move(socket)), buffer_(1 << 18) {}

  Result<bool> ReadSome() {
    const ssize_t size = read(socket_.get(), buffer_.data(), buffer_.size());
    if (size < 0) return FailWithErrno("read from the streaming server");
    if (size == 0) return false;
    RETURN_IF_ERROR(decoder_->Decode({buffer_.data(), static_cast<size_t>(size)},
                                     [this](const SpdyFrame& frame) {
                                       if (frame.type == SpdyFrame::Type::kSynReply)
                                         replied_.insert(frame.stream);
                                       if (frame.type == SpdyFrame::Type::kReset || frame.end)
                                         ended_.insert(frame.stream);
                                       if (frame.type != SpdyFrame::Type::kData) return;
                                       if (frame.stream == counted_)
                                         count_ += frame.data.size();
                                       else
                                         others_ += frame.data;
                                     }));
    return true;
  }

  UniqueFd socket_;
  std::vector<char> buffer_;
  std::unique_ptr<SpdyDecoder> decoder_ = std::make_unique<SpdyDecoder>();
  std::unique_ptr<SpdyEncoder> encoder_ = std::make_unique<SpdyEncoder>();
  std::set<uint32_t> replied_, ended_;
  std::string others_;
  uint32_t next_ = 1, counted_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

Result<uint64_t> DownloadExec(const std::string& url) {
  ASSIGN_OR_RETURN(Client client, Client::Open(url, "v4.channel.k8s.io"));
  RETURN_IF_ERROR(client.OpenStream({{"streamtype", "error"}}));
  ASSIGN_OR_RETURN(const uint32_t out, client.OpenStream({{"streamtype", "stdout"}}));
  RETURN_IF_ERROR(client.ReadToEnd(out));
  RETURN_IF_ERROR(client.ReadRest());
  if (client.others().find("\"Success\"") == std::string::npos)
    return Fail(ErrorCode::kUnknown, "the command failed: {}", client.others());
  return client.count();
}

Result<uint64_t> DownloadPort(const std::string& url, uint16_t port) {
  ASSIGN_OR_RETURN(Client client, Client::Open(url, "portforward.k8s.io"));
  SpdyHeaders headers{{"port", std::to_string(port)}, {"requestid", "0"}, {"streamtype", "error"}};
  RETURN_IF_ERROR(client.OpenStream(headers));
  headers["streamtype"] = "data";
  ASSIGN_OR_RETURN(const uint32_t data, client.OpenStream(headers));
  RETURN_IF_ERROR(client.ReadToEnd(data));
  if (!client.others().empty()) return Fail(ErrorCode::kUnavailable, "{}", client.others());
  return client.count();
}

}  // namespace catamaran::e2e
