#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

// Forward declaration of zlib's stream.
struct z_stream_s;

namespace catamaran {

// Frames of SPDY/3.1 (SPDY Protocol, draft 3.1), as far as Kubernetes' clients use them: no flow
// control, no priorities, headers of a few names. Neither half does any input or output.

using SpdyHeaders = std::map<std::string, std::string>;

// A frame, or a part of a data frame; views are good until the decoder is called again.
struct SpdyFrame {
  enum class Type { kData, kSynStream, kSynReply, kReset, kPing, kGoAway, kOther };
  Type type = Type::kOther;
  uint32_t stream = 0;
  uint32_t value = 0;  // of a reset its status, of a ping its id
  bool end = false;    // the sender sends nothing more on this stream
  SpdyHeaders headers;
  std::string_view data;
};

class SpdyDecoder {
 public:
  SpdyDecoder();
  ~SpdyDecoder();
  SpdyDecoder(const SpdyDecoder&) = delete;
  SpdyDecoder& operator=(const SpdyDecoder&) = delete;

  // Calls `use` for every frame in what has come so far; of a data frame for each part as it comes,
  // so this holds no more than one control frame (64 KiB). kInvalidArgument: the peer broke the
  // rules, and nothing it sends can be understood any more.
  Status Decode(std::string_view bytes, const std::function<void(const SpdyFrame&)>& use);

 private:
  Status DecodeHeader(const std::function<void(const SpdyFrame&)>& use);
  Status DecodeControl(SpdyFrame* frame);
  Status DecodeHeaders(std::string_view block, SpdyHeaders* headers);
  Result<std::string> Inflate(std::string_view block);

  std::string frame_;  // a header and, of a control frame, what follows it
  SpdyFrame data_;     // the data frame that is under way
  size_t data_left_ = 0;
  std::unique_ptr<z_stream_s> zlib_;  // one stream of header blocks in a connection's life
};

class SpdyEncoder {
 public:
  SpdyEncoder();
  ~SpdyEncoder();
  SpdyEncoder(const SpdyEncoder&) = delete;
  SpdyEncoder& operator=(const SpdyEncoder&) = delete;

  // Each appends one frame to `out`. Those with headers must be sent in the order they were made.
  void SynStream(uint32_t stream, const SpdyHeaders& headers, std::string* out);
  void SynReply(uint32_t stream, std::string* out);
  // At most 16 MiB - 1.
  void Data(uint32_t stream, std::string_view bytes, bool end, std::string* out) const;
  void Reset(uint32_t stream, uint32_t status, std::string* out) const;
  void Ping(uint32_t id, std::string* out) const;
  void GoAway(uint32_t last_stream, std::string* out) const;

 private:
  std::string Deflate(const SpdyHeaders& headers);

  std::unique_ptr<z_stream_s> zlib_;
};

inline constexpr uint32_t kSpdyProtocolError = 1, kSpdyRefused = 3, kSpdyCancel = 5;

}  // namespace catamaran
