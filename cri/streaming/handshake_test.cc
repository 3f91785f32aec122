#include "cri/streaming/handshake.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

using Carrier = StreamProtocol::Carrier;
using Kind = StreamTicket::Kind;

UpgradeRequest Request(const char* upgrade, const char* header,
                       std::initializer_list<const char*> lines) {
  UpgradeRequest request{{{"connection", "keep-alive, Upgrade"}, {"upgrade", upgrade}}};
  for (const char* line : lines) request.headers.emplace_back(header, line);
  return request;
}
UpgradeRequest Spdy(std::initializer_list<const char*> lines) {
  return Request("SPDY/3.1", "x-stream-protocol-version", lines);
}
UpgradeRequest Web(std::initializer_list<const char*> lines) {
  return Request("websocket", "sec-websocket-protocol", lines);
}

TEST(ChooseProtocol, TakesTheFirstOfTheClientsThatItKnows) {
  const StreamProtocol spdy4{Carrier::kSpdy, "v4.channel.k8s.io", 4, false};
  const StreamProtocol web5{Carrier::kWebSocket, "v5.channel.k8s.io", 5, false};
  const struct {
    UpgradeRequest request;
    Kind kind;
    StreamProtocol chosen;
  } cases[] = {
      {Spdy({"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"}), Kind::kExec, spdy4},
      {Spdy({"v5.channel.k8s.io, v4.channel.k8s.io ,v3.channel.k8s.io"}), Kind::kAttach, spdy4},
      {Spdy({"v2.channel.k8s.io", "v4.channel.k8s.io"}),
       Kind::kExec,
       {Carrier::kSpdy, "v2.channel.k8s.io", 2, false}},
      {Spdy({"portforward.k8s.io"}),
       Kind::kPortForward,
       {Carrier::kSpdy, "portforward.k8s.io", 1, false}},
      {Web({"v5.channel.k8s.io"}), Kind::kExec, web5},
      {Web({"base64.channel.k8s.io"}),
       Kind::kExec,
       {Carrier::kWebSocket, "base64.channel.k8s.io", 1, true}},
      {Web({}), Kind::kExec, {Carrier::kWebSocket, "", 1, false}},
      {Web({"SPDY/3.1+portforward.k8s.io"}),
       Kind::kPortForward,
       {Carrier::kSpdyInWebSocket, "SPDY/3.1+portforward.k8s.io", 1, false}},
      {Web({"v4.base64.channel.k8s.io"}),
       Kind::kPortForward,
       {Carrier::kWebSocket, "v4.base64.channel.k8s.io", 4, true}},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.chosen.name);
    const auto chosen = ChooseProtocol(row.request, row.kind);
    ASSERT_TRUE(chosen) << chosen.error().text;
    EXPECT_EQ(*chosen, row.chosen);
  }
}

TEST(ChooseProtocol, RefusesAsTheReferenceServerDoes) {
  UpgradeRequest no_upgrade = Spdy({"v4.channel.k8s.io"});
  no_upgrade.headers[0].second = "close";
  const struct {
    const char* name;
    UpgradeRequest request;
    Kind kind;
    unsigned status;
  } cases[] = {
      {"no versions", Spdy({}), Kind::kExec, 400},
      {"empty versions", Spdy({"", " , "}), Kind::kExec, 400},
      {"nothing in common", Spdy({"v9.channel.k8s.io"}), Kind::kExec, 403},
      {"v5 is none of SPDY's", Spdy({"v5.channel.k8s.io"}), Kind::kExec, 403},
      {"another kind's", Spdy({"v4.channel.k8s.io"}), Kind::kPortForward, 403},
      {"WebSocket, nothing in common", Web({"chat"}), Kind::kExec, 403},
      {"no upgrade", no_upgrade, Kind::kExec, 400},
      {"an upgrade to what we have not",
       Request("h2c", "x-stream-protocol-version", {"v4.channel.k8s.io"}), Kind::kExec, 400},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.name);
    const auto chosen = ChooseProtocol(row.request, row.kind);
    ASSERT_FALSE(chosen);
    EXPECT_EQ(chosen.error().status, row.status);
    EXPECT_FALSE(chosen.error().text.empty());
    EXPECT_EQ(chosen.error().headers.empty(), row.status != 403);
  }
}

}  // namespace
}  // namespace catamaran
