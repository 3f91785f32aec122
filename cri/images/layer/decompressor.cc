#include "cri/images/layer/decompressor.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace catamaran {
namespace {

constexpr size_t kInputSize = 256 << 10;

// The compressed bytes: those already looked at to find the format, then the rest.
struct Input {
  ByteSource& from;
  std::vector<char> buffer = std::vector<char>(kInputSize);
  size_t at = 0;
  size_t end = 0;
  bool ended = false;

  // Makes at least one byte available unless the source has ended.
  Status Fill() {
    if (at < end || ended) return {};
    at = 0;
    ASSIGN_OR_RETURN(end, from.Read(buffer.data(), buffer.size()));
    ended = end == 0;
    return {};
  }
  Status FillFirst(size_t wanted) {
    while (end < wanted && !ended) {
      ASSIGN_OR_RETURN(const size_t count, from.Read(buffer.data() + end, wanted - end));
      end += count;
      ended = count == 0;
    }
    return {};
  }
};

tl::unexpected<Error> CutOff() {
  return Fail(ErrorCode::kInvalidArgument, "the compressed data is cut off");
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(Input input) : input_(std::move(input)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    if (input_.at == input_.end) return input_.from.Read(buffer, size);
    const size_t count = std::min(size, input_.end - input_.at);
    std::memcpy(buffer, input_.buffer.data() + input_.at, count);
    input_.at += count;
    return count;
  }

 private:
  Input input_;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(Input input) : input_(std::move(input)) { StartMember(); }

  Result<size_t> Read(char* buffer, size_t size) override {
    if (size == 0) return size_t{0};
    for (;;) {
      RETURN_IF_ERROR(input_.Fill());
      const bool no_input = input_.at == input_.end;
      if (no_input && between_members_) return size_t{0};
      if (between_members_) StartMember();
      ASSIGN_OR_RETURN(const size_t count, Inflate(buffer, size));
      if (count > 0) return count;
      if (no_input && !between_members_) return CutOff();
    }
  }

 private:
  void StartMember() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
    between_members_ = false;
  }

  Result<size_t> Inflate(char* buffer, size_t size) {
    state_.next_in = reinterpret_cast<uint8_t*>(input_.buffer.data()) + input_.at;
    state_.avail_in = static_cast<uint32_t>(input_.end - input_.at);
    state_.next_out = reinterpret_cast<uint8_t*>(buffer);
    state_.avail_out = static_cast<uint32_t>(std::min<size_t>(size, 1 << 30));
    const uint32_t room = state_.avail_out;
    const int result = isal_inflate(&state_);
    input_.at = input_.end - state_.avail_in;
    if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT)
      return Fail(ErrorCode::kInvalidArgument, "the gzip data is corrupt (isa-l error {})", result);
    if (state_.block_state == ISAL_BLOCK_FINISH) between_members_ = true;
    return size_t{room - state_.avail_out};
  }

  Input input_;
  inflate_state state_;
  bool between_members_ = false;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(Input input) : input_(std::move(input)), stream_(ZSTD_createDStream()) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    if (size == 0) return size_t{0};
    for (;;) {
      RETURN_IF_ERROR(input_.Fill());
      const bool no_input = input_.at == input_.end;
      if (no_input && between_frames_) return size_t{0};
      ZSTD_inBuffer in{input_.buffer.data(), input_.end, input_.at};
      ZSTD_outBuffer out{buffer, size, 0};
      const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
      if (ZSTD_isError(result) != 0)
        return Fail(ErrorCode::kInvalidArgument, "the zstd data is corrupt: {}",
                    ZSTD_getErrorName(result));
      input_.at = in.pos;
      between_frames_ = result == 0;
      if (out.pos > 0) return out.pos;
      if (no_input && !between_frames_) return CutOff();
    }
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  bool between_frames_ = false;
};

}  // namespace

Compression DetectCompression(const char* start, size_t size) {
  const auto byte = [&](size_t i) { return i < size ? static_cast<unsigned char>(start[i]) : 0; };
  if (byte(0) == 0x1f && byte(1) == 0x8b) return Compression::kGzip;
  const uint32_t magic =
      byte(0) | byte(1) << 8 | byte(2) << 16 | static_cast<uint32_t>(byte(3)) << 24;
  if (magic == 0xfd2fb528 || (magic & 0xfffffff0) == 0x184d2a50) return Compression::kZstd;
  return Compression::kNone;
}

Result<std::unique_ptr<ByteSource>> Decompress(ByteSource& from) {
  Input input{from};
  RETURN_IF_ERROR(input.FillFirst(4));
  switch (DetectCompression(input.buffer.data(), input.end)) {
    case Compression::kGzip:
      return std::make_unique<GzipSource>(std::move(input));
    case Compression::kZstd:
      return std::make_unique<ZstdSource>(std::move(input));
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSource>(std::move(input));
}

}  // namespace catamaran
