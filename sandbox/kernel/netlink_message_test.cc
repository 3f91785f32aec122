#include "sandbox/kernel/netlink_message.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace catamaran {
namespace {

TEST(Prefix, IsReadAndWritten) {
  for (const std::string text : {"10.88.0.2/32", "0.0.0.0/0", "fd00::2/128", "::/0"}) {
    const auto prefix = ParsePrefix(text).value();
    EXPECT_EQ(PrefixText(prefix.family, prefix.bytes, prefix.length), text);
  }
  EXPECT_EQ(ParsePrefix("10.0.0.1").value().length, 32);
  EXPECT_EQ(ParsePrefix("fe80::1").value().length, 128);
  for (const std::string text : {"", "10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/-1", "::1/129",
                                 "10.0.0.1/8x", "name", "10.0.0.1 "})
    EXPECT_EQ(ParsePrefix(text).error().code, ErrorCode::kInvalidArgument) << text;
}

TEST(Mac, IsReadAndWritten) {
  EXPECT_EQ(MacText(ParseMac("0a:58:FF:00:00:02").value()), "0a:58:ff:00:00:02");
  for (const std::string text : {"", "0a:58:0a:58:00", "0a:58:0a:58:00:02:03", "0a-58-0a-58-00-02",
                                 "0a:58:0a:58:00:0g", "a:58:0a:58:00:002"})
    EXPECT_EQ(ParseMac(text).error().code, ErrorCode::kInvalidArgument) << text;
}

TEST(NetlinkReader, StopsAtDamagedAttributes) {
  NetlinkMessage message(RTM_NEWLINK, 0, ifinfomsg{});
  message.AddText(1, "one");
  message.AddNumber<uint32_t>(2, 7);
  std::string bytes = std::move(message).Finish(1, 0);
  std::string payload = bytes.substr(NLMSG_HDRLEN);
  const auto count = [](const std::string& text) {
    NetlinkReader reader(text);
    if (!reader.ReadBody<ifinfomsg>()) return -1;
    int attributes = 0;
    reader.ForEachAttribute([&](uint16_t, std::string_view) { ++attributes; });
    return attributes;
  };
  EXPECT_EQ(count(payload), 2);
  for (size_t length = 0; length < payload.size(); ++length)
    EXPECT_LT(count(payload.substr(0, length)), 2) << length;
  payload[NLMSG_ALIGN(sizeof(ifinfomsg))] = 1;  // an attribute shorter than its own header
  EXPECT_EQ(count(payload), 0);
}

}  // namespace
}  // namespace catamaran
