#include "cri/nri/frames.h"

#include <algorithm>

namespace catamaran {
namespace {

constexpr size_t kFrameHeader = 8;
constexpr size_t kTtrpcHeader = 10;
constexpr size_t kLongestFrame = kLongestTtrpcMessage + kTtrpcHeader;
// A Go peer reads a message through a buffer of this size: a first frame that is longer does not
// fit there and ends the connection. What follows is read straight into the message.
constexpr size_t kLongestFirstFrame = 4096;

uint32_t ReadUint32(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void AppendUint32(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

}  // namespace

Status FrameReader::ReadFrameHeader() {
  connection_ = ReadUint32(header_);
  payload_left_ = ReadUint32(std::string_view(header_).substr(4));
  header_.clear();
  if (payload_left_ > kLongestFrame) {
    return Fail(ErrorCode::kInvalidArgument, "a frame of {} bytes: at most {} are allowed",
                payload_left_, kLongestFrame);
  }
  in_payload_ = payload_left_ > 0;
  return {};
}

Status FrameReader::TakeMessages(uint32_t connection, std::vector<TtrpcMessage>* messages) {
  std::string& unread = unread_[connection];
  size_t taken = 0;
  while (unread.size() - taken >= kTtrpcHeader) {
    const std::string_view rest = std::string_view(unread).substr(taken);
    const uint32_t length = ReadUint32(rest);
    if (length > kLongestTtrpcMessage) {
      return Fail(ErrorCode::kInvalidArgument, "a message of {} bytes: at most {} are allowed",
                  length, kLongestTtrpcMessage);
    }
    if (rest.size() - kTtrpcHeader < length) break;
    messages->push_back({.connection = connection,
                         .stream = ReadUint32(rest.substr(4)),
                         .type = static_cast<uint8_t>(rest[8]),
                         .flags = static_cast<uint8_t>(rest[9]),
                         .payload = std::string(rest.substr(kTtrpcHeader, length))});
    taken += kTtrpcHeader + length;
  }
  unread.erase(0, taken);
  return {};
}

Status FrameReader::Feed(std::string_view bytes, std::vector<TtrpcMessage>* messages) {
  while (!bytes.empty()) {
    if (!in_payload_) {
      const size_t count = std::min(kFrameHeader - header_.size(), bytes.size());
      header_.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (header_.size() == kFrameHeader) RETURN_IF_ERROR(ReadFrameHeader());
      continue;
    }
    const size_t count = std::min<size_t>(payload_left_, bytes.size());
    if (connection_ == kPluginConnection || connection_ == kRuntimeConnection) {
      unread_[connection_].append(bytes.substr(0, count));
      RETURN_IF_ERROR(TakeMessages(connection_, messages));
    }
    bytes.remove_prefix(count);
    payload_left_ -= static_cast<uint32_t>(count);
    in_payload_ = payload_left_ > 0;
  }
  return {};
}

Result<std::string> EncodeTtrpcMessage(const TtrpcMessage& message) {
  if (message.payload.size() > kLongestTtrpcMessage) {
    return Fail(ErrorCode::kResourceExhausted, "a message of {} bytes: at most {} are allowed",
                message.payload.size(), kLongestTtrpcMessage);
  }
  std::string body;
  body.reserve(kTtrpcHeader + message.payload.size());
  AppendUint32(static_cast<uint32_t>(message.payload.size()), &body);
  AppendUint32(message.stream, &body);
  body.push_back(static_cast<char>(message.type));
  body.push_back(static_cast<char>(message.flags));
  body += message.payload;
  std::string frames;
  frames.reserve(body.size() + 2 * kFrameHeader);
  for (size_t begin = 0; begin < body.size();) {
    const size_t length =
        std::min(body.size() - begin, begin == 0 ? kLongestFirstFrame : kLongestFrame);
    AppendUint32(message.connection, &frames);
    AppendUint32(static_cast<uint32_t>(length), &frames);
    frames.append(body, begin, length);
    begin += length;
  }
  return frames;
}

}  // namespace catamaran
