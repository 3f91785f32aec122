#include "cri/streaming/spdy_codec.h"

#include <zlib.h>

#include <algorithm>

#include "cri/base/text.h"
#include "cri/streaming/spdy_dictionary.h"

namespace catamaran {
namespace {

constexpr size_t kHeaderBytes = 8;
// Clients send three names at most; what is larger than these is no client.
constexpr size_t kLargestControl = 64 << 10, kLargestHeaders = 64 << 10;
constexpr uint32_t kMostHeaders = 64;
constexpr uint32_t kStreamMask = 0x7fffffff;
constexpr unsigned char kVersion = 3;

enum ControlType : uint16_t {
  kSynStream = 1,
  kSynReply = 2,
  kReset = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8,
  kWindowUpdate = 9,
};

uint32_t Number(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void Append(uint32_t value, size_t size, std::string* out) {
  for (size_t i = size; i-- > 0;) out->push_back(static_cast<char>(value >> (8 * i)));
}

void AppendControl(uint16_t type, uint8_t flags, size_t length, std::string* out) {
  Append(0x8000U | kVersion, 2, out);
  Append(type, 2, out);
  Append(flags, 1, out);
  Append(static_cast<uint32_t>(length), 3, out);
}

tl::unexpected<Error> Breach(const std::string& what) {
  return Fail(ErrorCode::kInvalidArgument, "SPDY: {}", what);
}

// A view of one length-prefixed text; the block shrinks by it.
Result<std::string_view> TakeText(std::string_view* block) {
  if (block->size() < 4) return Breach("a header block ends within a length");
  const uint32_t size = Number(*block, 0, 4);
  if (size > block->size() - 4) return Breach("a header is longer than its block");
  const std::string_view text = block->substr(4, size);
  block->remove_prefix(4 + size);
  return text;
}

const Bytef* DictionaryBytes() { return reinterpret_cast<const Bytef*>(SpdyDictionary().data()); }

}  // namespace

SpdyDecoder::SpdyDecoder() : zlib_(std::make_unique<z_stream>()) { inflateInit(zlib_.get()); }
SpdyDecoder::~SpdyDecoder() { inflateEnd(zlib_.get()); }

Status SpdyDecoder::Decode(std::string_view bytes,
                           const std::function<void(const SpdyFrame&)>& use) {
  while (!bytes.empty()) {
    if (data_left_ > 0) {
      data_.data = bytes.substr(0, data_left_);
      bytes.remove_prefix(data_.data.size());
      data_left_ -= data_.data.size();
      SpdyFrame part = data_;
      part.end = data_.end && data_left_ == 0;
      use(part);
      continue;
    }
    const size_t wanted = kHeaderBytes + (frame_.size() < kHeaderBytes ? 0 : Number(frame_, 5, 3));
    const size_t count = std::min(bytes.size(), wanted - frame_.size());
    frame_.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    if (frame_.size() < wanted) return {};
    if (wanted == kHeaderBytes) {
      RETURN_IF_ERROR(DecodeHeader(use));
      continue;
    }
    SpdyFrame frame;
    RETURN_IF_ERROR(DecodeControl(&frame));
    frame_.clear();
    use(frame);
  }
  return {};
}

// A data frame's bytes follow and are not kept; a control frame is decoded once it is whole.
Status SpdyDecoder::DecodeHeader(const std::function<void(const SpdyFrame&)>& use) {
  const uint32_t length = Number(frame_, 5, 3);
  if ((frame_[0] & 0x80) != 0) {
    if (length < 4 || length > kLargestControl)
      return Breach(fmt::format("a control frame of {} bytes", length));
    return {};
  }
  data_ = SpdyFrame{.type = SpdyFrame::Type::kData, .stream = Number(frame_, 0, 4)};
  data_.end = (frame_[4] & 1) != 0;
  frame_.clear();
  if (data_.stream == 0) return Breach("data of stream 0");
  data_left_ = length;
  if (length == 0) use(data_);
  return {};
}

Status SpdyDecoder::DecodeControl(SpdyFrame* frame) {
  const std::string_view body = std::string_view(frame_).substr(kHeaderBytes);
  const uint32_t type = Number(frame_, 2, 2);
  const uint32_t first = Number(body, 0, 4);
  const auto takes = [&](size_t least) -> Status {
    if (body.size() >= least) return {};
    return Breach(fmt::format("a frame of type {} of {} bytes", type, body.size()));
  };
  frame->stream = first & kStreamMask;
  frame->end = (frame_[4] & 1) != 0;
  switch (type) {
    case kSynStream:
      frame->type = SpdyFrame::Type::kSynStream;
      RETURN_IF_ERROR(takes(10));
      RETURN_IF_ERROR(DecodeHeaders(body.substr(10), &frame->headers));
      break;
    case kSynReply:
      frame->type = SpdyFrame::Type::kSynReply;
      RETURN_IF_ERROR(DecodeHeaders(body.substr(4), &frame->headers));
      break;
    case kHeaders:  // what it says does not matter; zlib's state does
      RETURN_IF_ERROR(DecodeHeaders(body.substr(4), &frame->headers));
      break;
    case kReset:
      frame->type = SpdyFrame::Type::kReset;
      RETURN_IF_ERROR(takes(8));
      frame->value = Number(body, 4, 4);
      break;
    case kPing:
      frame->type = SpdyFrame::Type::kPing;
      frame->value = first;
      return {};
    case kGoAway:
      frame->type = SpdyFrame::Type::kGoAway;
      return {};
    case kSettings:
    case kWindowUpdate:
      return {};
    default:
      return Breach(fmt::format("a frame of unknown type {}", type));
  }
  if (frame->stream == 0) return Breach("a frame of stream 0");
  return {};
}

Result<std::string> SpdyDecoder::Inflate(std::string_view block) {
  std::string out(kLargestHeaders, '\0');
  zlib_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
  zlib_->avail_in = static_cast<uInt>(block.size());
  zlib_->next_out = reinterpret_cast<Bytef*>(out.data());
  zlib_->avail_out = static_cast<uInt>(out.size());
  while (zlib_->avail_in > 0) {
    int result = inflate(zlib_.get(), Z_SYNC_FLUSH);
    if (result == Z_NEED_DICT)
      result = inflateSetDictionary(zlib_.get(), DictionaryBytes(),
                                    static_cast<uInt>(SpdyDictionary().size()));
    if (result != Z_OK) return Breach("a header block is no zlib stream, or too large");
  }
  if (zlib_->avail_out == 0) return Breach("a header block is too large");
  out.resize(out.size() - zlib_->avail_out);
  return out;
}

Status SpdyDecoder::DecodeHeaders(std::string_view block, SpdyHeaders* headers) {
  ASSIGN_OR_RETURN(const std::string text, Inflate(block));
  std::string_view rest = text;
  if (rest.size() < 4) return Breach("a header block without a count");
  const uint32_t count = Number(rest, 0, 4);
  if (count > kMostHeaders) return Breach(fmt::format("{} headers", count));
  rest.remove_prefix(4);
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const std::string_view name, TakeText(&rest));
    ASSIGN_OR_RETURN(const std::string_view value, TakeText(&rest));
    (*headers)[ToLower(name)] = value.substr(0, value.find('\0'));
  }
  if (!rest.empty()) return Breach("bytes after the last header");
  return {};
}

SpdyEncoder::SpdyEncoder() : zlib_(std::make_unique<z_stream>()) {
  deflateInit(zlib_.get(), Z_BEST_COMPRESSION);
  deflateSetDictionary(zlib_.get(), DictionaryBytes(), static_cast<uInt>(SpdyDictionary().size()));
}
SpdyEncoder::~SpdyEncoder() { deflateEnd(zlib_.get()); }

std::string SpdyEncoder::Deflate(const SpdyHeaders& headers) {
  std::string text;
  Append(static_cast<uint32_t>(headers.size()), 4, &text);
  for (const auto& [name, value] : headers) {
    for (const std::string* part : {&name, &value}) {
      Append(static_cast<uint32_t>(part->size()), 4, &text);
      text += *part;
    }
  }
  // A flush ends with five bytes beyond the bound.
  std::string out(deflateBound(zlib_.get(), text.size()) + 16, '\0');
  zlib_->next_in = reinterpret_cast<Bytef*>(text.data());
  zlib_->avail_in = static_cast<uInt>(text.size());
  zlib_->next_out = reinterpret_cast<Bytef*>(out.data());
  zlib_->avail_out = static_cast<uInt>(out.size());
  deflate(zlib_.get(), Z_SYNC_FLUSH);
  out.resize(out.size() - zlib_->avail_out);
  return out;
}

void SpdyEncoder::SynStream(uint32_t stream, const SpdyHeaders& headers, std::string* out) {
  const std::string block = Deflate(headers);
  AppendControl(kSynStream, 0, 10 + block.size(), out);
  Append(stream, 4, out);
  Append(0, 4, out);
  Append(0, 2, out);
  *out += block;
}

void SpdyEncoder::SynReply(uint32_t stream, std::string* out) {
  const std::string block = Deflate({});
  AppendControl(kSynReply, 0, 4 + block.size(), out);
  Append(stream, 4, out);
  *out += block;
}

void SpdyEncoder::Data(uint32_t stream, std::string_view bytes, bool end, std::string* out) const {
  Append(stream, 4, out);
  Append(end ? 1 : 0, 1, out);
  Append(static_cast<uint32_t>(bytes.size()), 3, out);
  *out += bytes;
}

void SpdyEncoder::Reset(uint32_t stream, uint32_t status, std::string* out) const {
  AppendControl(kReset, 0, 8, out);
  Append(stream, 4, out);
  Append(status, 4, out);
}

void SpdyEncoder::Ping(uint32_t id, std::string* out) const {
  AppendControl(kPing, 0, 4, out);
  Append(id, 4, out);
}

void SpdyEncoder::GoAway(uint32_t last_stream, std::string* out) const {
  AppendControl(kGoAway, 0, 8, out);
  Append(last_stream, 4, out);
  Append(0, 4, out);
}

}  // namespace catamaran
