#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cri/streaming/spdy_codec.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran::e2e {

// The plainest client of a streaming URL there is: SPDY/3.1, blocking, on one thread. It reads when
// it is told to and else not at all. Destroying it closes the connection.
class StreamingClient {
 public:
  // url: of a streaming server; protocol: "v4.channel.k8s.io", "portforward.k8s.io".
  static Result<StreamingClient> Open(const std::string& url, const std::string& protocol);

  // Returns once the server has answered; a stream that it refuses is in reset().
  Result<uint32_t> OpenStream(const SpdyHeaders& headers);
  Status Send(uint32_t stream, std::string_view bytes, bool end = false);
  // Until the condition holds or the server has closed.
  Status ReadUntil(const std::function<bool()>& condition);
  Status ReadToEnd(uint32_t stream);
  // Until the server closes.
  Status ReadRest() {
    return ReadUntil([] { return false; });
  }

  // How many bytes came, and the first kilobytes of them.
  uint64_t count(uint32_t stream) const;
  std::string text(uint32_t stream) const;
  bool ended(uint32_t stream) const { return ended_.contains(stream); }
  bool reset(uint32_t stream) const { return reset_.contains(stream); }

 private:
  struct Received {
    uint64_t count = 0;
    std::string text;
  };
  explicit StreamingClient(UniqueFd socket) : socket_(std::move(socket)), buffer_(1 << 18) {}
  Result<bool> ReadSome();
  void Take(const SpdyFrame& frame);

  UniqueFd socket_;
  std::vector<char> buffer_;
  std::unique_ptr<SpdyDecoder> decoder_ = std::make_unique<SpdyDecoder>();
  std::unique_ptr<SpdyEncoder> encoder_ = std::make_unique<SpdyEncoder>();
  std::set<uint32_t> replied_, ended_, reset_;
  std::map<uint32_t, Received> received_;
  uint32_t next_ = 1;
};

}  // namespace catamaran::e2e
