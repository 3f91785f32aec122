#include "cri/streaming/spdy_codec.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <zlib.h>

#include "cri/streaming/spdy_dictionary.h"

namespace catamaran {
namespace {

using Type = SpdyFrame::Type;

std::string FromHex(std::string_view text) {
  std::string bytes;
  std::string digits;
  for (const char c : text) {
    if (c == ' ') continue;
    digits.push_back(c);
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return bytes;
}

// A frame that owns its bytes; consecutive parts of data are one.
struct Seen {
  Type type;
  uint32_t stream, value;
  bool end;
  SpdyHeaders headers;
  std::string data;
};

// Decodes in pieces of `step` bytes.
Result<std::vector<Seen>> DecodeAll(SpdyDecoder& decoder, std::string_view bytes,
                                    size_t step = SIZE_MAX) {
  std::vector<Seen> seen;
  for (size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size() - at)) {
    RETURN_IF_ERROR(decoder.Decode(bytes.substr(at, step), [&](const SpdyFrame& frame) {
      if (frame.type == Type::kData && !seen.empty() && seen.back().type == Type::kData &&
          seen.back().stream == frame.stream && !seen.back().end) {
        seen.back().data += frame.data;
        seen.back().end = frame.end;
        return;
      }
      seen.push_back({frame.type, frame.stream, frame.value, frame.end, frame.headers,
                      std::string(frame.data)});
    }));
  }
  return seen;
}

TEST(SpdyDictionary, IsTheOneOfTheSpecification) {
  const std::string& dictionary = SpdyDictionary();
  ASSERT_EQ(dictionary.size(), 1423u);
  EXPECT_EQ(adler32(1, reinterpret_cast<const Bytef*>(dictionary.data()), 1423), 0xe3c6a7c2u);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(dictionary.data()), dictionary.size(), digest);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(digest), sizeof digest),
            FromHex("51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"));
}

// As moby/spdystream, which all Kubernetes clients use, puts them on the wire.
constexpr char kClientVectors[] =
    "80030001 00000029 00000001 00000000 0000 "
    "78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff"
    "80030001 00000019 00000003 00000000 0000 c22ac5565c92925f5a02000000ffff"
    "00000001 01000000"
    "80030006 00000004 00000001"
    "80030003 00000008 00000001 00000005"
    "80030007 00000008 00000009 00000000";
constexpr char kServerVectors[] =
    "80030002 00000014 00000001 78f9e3c6a7c26260606000000000ffff"
    "80030002 0000000c 00000003 026100000000ffff";

TEST(SpdyDecoder, ReadsWhatKubernetesClientsSendHoweverItIsCut) {
  for (const size_t step : {SIZE_MAX, size_t{1}, size_t{3}, size_t{7}}) {
    SCOPED_TRACE(step);
    SpdyDecoder decoder;
    const auto seen = DecodeAll(decoder, FromHex(kClientVectors), step);
    ASSERT_TRUE(seen) << seen.error().message;
    ASSERT_EQ(seen->size(), 6u);
    EXPECT_EQ((*seen)[0].type, Type::kSynStream);
    EXPECT_EQ((*seen)[0].stream, 1u);
    EXPECT_EQ((*seen)[0].headers, (SpdyHeaders{{"streamtype", "error"}}));
    EXPECT_EQ((*seen)[1].headers, (SpdyHeaders{{"streamtype", "stdout"}}));
    EXPECT_EQ((*seen)[2].type, Type::kData);
    EXPECT_TRUE((*seen)[2].end);
    EXPECT_EQ((*seen)[3].type, Type::kPing);
    EXPECT_EQ((*seen)[3].value, 1u);
    EXPECT_EQ((*seen)[4].type, Type::kReset);
    EXPECT_EQ((*seen)[4].value, kSpdyCancel);
    EXPECT_EQ((*seen)[5].type, Type::kGoAway);
  }
}

TEST(SpdyDecoder, ReadsRepliesOfTheReferenceServer) {
  SpdyDecoder decoder;
  const auto seen = DecodeAll(decoder, FromHex(kServerVectors));
  ASSERT_TRUE(seen) << seen.error().message;
  ASSERT_EQ(seen->size(), 2u);
  EXPECT_EQ((*seen)[1].type, Type::kSynReply);
  EXPECT_EQ((*seen)[1].stream, 3u);
}

TEST(SpdyEncoder, WritesTheFramesThatHaveNoHeadersByteForByte) {
  const SpdyEncoder encoder;
  std::string out;
  encoder.Data(1, "", true, &out);
  encoder.Ping(1, &out);
  encoder.Reset(1, kSpdyCancel, &out);
  encoder.GoAway(9, &out);
  EXPECT_EQ(out,
            FromHex("00000001 01000000 80030006 00000004 00000001"
                    "80030003 00000008 00000001 00000005 80030007 00000008 00000009 00000000"));
}

TEST(SpdyEncoder, IsUnderstoodByTheDecoder) {
  SpdyEncoder encoder;
  SpdyDecoder decoder;
  std::string out;
  const SpdyHeaders headers{{"streamtype", "data"}, {"port", "80"}, {"requestid", "7"}};
  for (const uint32_t stream : {1u, 3u, 5u}) encoder.SynStream(stream, headers, &out);
  encoder.SynReply(1, &out);
  encoder.Data(3, std::string(100'000, 'x'), false, &out);
  const auto seen = DecodeAll(decoder, out, 4096);
  ASSERT_TRUE(seen) << seen.error().message;
  ASSERT_EQ(seen->size(), 5u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ((*seen)[i].headers, headers);
  EXPECT_EQ((*seen)[4].data, std::string(100'000, 'x'));
  EXPECT_FALSE((*seen)[4].end);
}

TEST(SpdyDecoder, EndsAtWhatNoClientSends) {
  std::string bomb;
  SpdyEncoder().SynStream(1, {{"a", std::string(200'000, 'a')}}, &bomb);
  std::string many;
  SpdyHeaders headers;
  for (int i = 0; i < 65; ++i) headers[std::to_string(i)] = "";
  SpdyEncoder().SynStream(1, headers, &many);
  std::string zero;
  SpdyEncoder().SynStream(0, {}, &zero);
  const std::pair<const char*, std::string> cases[] = {
      {"a header block that inflates to more", bomb},
      {"too many headers", many},
      {"stream 0", zero},
      {"data of stream 0", FromHex("00000000 00000001 00")},
      {"an unknown type", FromHex("80030005 00000004 00000001")},
      {"too short a control frame", FromHex("80030006 00000003 000001")},
      {"too long a one", FromHex("80030004 00ffffff")},
      {"a short reset", FromHex("80030003 00000004 00000001")},
      {"no zlib stream", FromHex("80030001 0000000e 00000001 00000000 0000 01020304")},
      {"no headers", FromHex("80030001 0000000a 00000001 00000000 0000")},
  };
  for (const auto& [name, bytes] : cases) {
    SCOPED_TRACE(name);
    SpdyDecoder decoder;
    const auto decoded = decoder.Decode(bytes, [](const SpdyFrame&) {});
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace catamaran
