#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// One frame of a byte stream (see stream_channel.h). On the wire, little-endian, 32 bytes:
//   magic u32 · type u8 · flags u8 · zero u16 · epoch u64 · stream u32 · length u32 ·
//   CRC-32C of the body u32 · CRC-32C of the 28 bytes before u32
// and then the body.
struct FrameHeader {
  static constexpr size_t kSize = 32;
  static constexpr uint8_t kMore = 1;  // the message goes on in the next frame of its order
  static constexpr uint8_t kBulk = 2;  // belongs to the bulk order

  uint8_t type = 0;  // a MessageType, or one of kOpen and kAccept
  uint8_t flags = 0;
  uint64_t epoch = 0;
  uint32_t stream = 0;
};
inline constexpr uint8_t kOpenFrame = 128;    // client: begin the session of this epoch
inline constexpr uint8_t kAcceptFrame = 129;  // server: begun

// What a virtio-serial port takes in one write.
inline constexpr size_t kMaxFrameBody = 32 * 1024 - FrameHeader::kSize;

std::string EncodeFrame(const FrameHeader& header, std::string_view body);
uint32_t Crc32c(std::string_view bytes);

// Whether these kSize bytes head a frame: their checksum, and that its body is no longer than
// kMaxFrameBody. Who sends frames may be hostile, and then the checksum is right.
bool FrameHeaderIsSound(std::string_view header);

// Finds frames in arbitrary bytes. Holds at most one unfinished frame and what was appended.
class FrameParser {
 public:
  struct Frame {
    FrameHeader header;
    std::string_view body;  // until the next Append
  };
  // Whether bytes that are no frame are skipped, or are an error (for a hostile peer in the middle
  // of a session: it cannot make this side search).
  enum class Damage { kSkip, kFail };

  void Append(std::string_view bytes);
  // The next whole frame; none: more bytes are needed. kDataLoss: damage, with kFail.
  Result<std::optional<Frame>> Next(Damage damage);
  void Clear();
  size_t buffered() const { return buffer_.size() - position_; }

 private:
  std::string buffer_;
  size_t position_ = 0;
};

}  // namespace catamaran
