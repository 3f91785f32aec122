#include "sandbox/protocol/frame.h"

#include <array>
#include <cstring>

#include "sandbox/protocol/little_endian.h"

namespace catamaran {
namespace {

constexpr char kMagic[4] = {'\xC7', 'P', 'O', 'D'};

// CRC-32C (Castagnoli), eight bytes a step ("slicing by 8"): portable, and fast enough not to show
// beside the copy itself.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0);
    tables[0][i] = value;
  }
  for (uint32_t i = 0; i < 256; ++i)
    for (int t = 1; t < 8; ++t)
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
  return tables;
}();

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    const uint32_t low = GetLittleEndian<uint32_t>(at) ^ crc;
    const uint32_t high = GetLittleEndian<uint32_t>(at + 4);
    crc = kTables[7][low & 0xFF] ^ kTables[6][(low >> 8) & 0xFF] ^ kTables[5][(low >> 16) & 0xFF] ^
          kTables[4][low >> 24] ^ kTables[3][high & 0xFF] ^ kTables[2][(high >> 8) & 0xFF] ^
          kTables[1][(high >> 16) & 0xFF] ^ kTables[0][high >> 24];
  }
  for (; left > 0; --left, ++at)
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xFF];
  return ~crc;
}

std::string EncodeFrame(const FrameHeader& header, std::string_view body) {
  std::string frame(FrameHeader::kSize, '\0');
  frame.reserve(frame.size() + body.size());
  memcpy(frame.data(), kMagic, sizeof kMagic);
  frame[4] = static_cast<char>(header.type);
  frame[5] = static_cast<char>(header.flags);
  PutLittleEndian<uint64_t>(&frame[8], header.epoch);
  PutLittleEndian<uint32_t>(&frame[16], header.stream);
  PutLittleEndian<uint32_t>(&frame[20], static_cast<uint32_t>(body.size()));
  PutLittleEndian<uint32_t>(&frame[24], Crc32c(body));
  PutLittleEndian<uint32_t>(&frame[28], Crc32c({frame.data(), 28}));
  frame += body;
  return frame;
}

void FrameParser::Append(std::string_view bytes) {
  buffer_.erase(0, position_);
  position_ = 0;
  buffer_ += bytes;
}

void FrameParser::Clear() {
  buffer_.clear();
  position_ = 0;
}

Result<std::optional<FrameParser::Frame>> FrameParser::Next(Damage damage) {
  while (true) {
    const char* start = buffer_.data() + position_;
    const size_t available = buffer_.size() - position_;
    const size_t prefix = std::min(available, sizeof kMagic);
    bool valid = memcmp(start, kMagic, prefix) == 0;
    uint32_t length = 0;
    if (valid && available >= FrameHeader::kSize) {
      length = GetLittleEndian<uint32_t>(start + 20);
      valid = FrameHeaderIsSound({start, FrameHeader::kSize});
      if (valid && available >= FrameHeader::kSize + length) {
        const std::string_view body(start + FrameHeader::kSize, length);
        if (GetLittleEndian<uint32_t>(start + 24) == Crc32c(body)) {
          position_ += FrameHeader::kSize + length;
          return Frame{
              {static_cast<uint8_t>(start[4]), static_cast<uint8_t>(start[5]),
               GetLittleEndian<uint64_t>(start + 8), GetLittleEndian<uint32_t>(start + 16)},
              body};
        }
        valid = false;
      }
    }
    if (valid) return std::nullopt;  // so far; the rest is to come
    if (damage == Damage::kFail) return Fail(ErrorCode::kDataLoss, "the peer sent no frame");
    const void* next = memchr(start + 1, kMagic[0], available - 1);
    position_ = next == nullptr ? buffer_.size() : static_cast<const char*>(next) - buffer_.data();
  }
}

}  // namespace catamaran
