#include "cri/network/host_ports.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(HostPorts, CollideWhereAnAddressWouldLeadBothWays) {
  struct Row {
    const char *a, *b;
    bool collide;
  };
  for (const Row& row :
       {Row{"", "", true}, Row{"", "0.0.0.0", true}, Row{"", "::", true}, Row{"", "10.0.0.1", true},
        Row{"", "fd00::1", true}, Row{"0.0.0.0", "10.0.0.1", true}, Row{"::", "fd00::1", true},
        Row{"0.0.0.0", "0.0.0.0", true}, Row{"10.0.0.1", "10.0.0.1", true},
        Row{"0.0.0.0", "::", false}, Row{"0.0.0.0", "fd00::1", false}, Row{"::", "10.0.0.1", false},
        Row{"10.0.0.1", "10.0.0.2", false}, Row{"10.0.0.1", "fd00::1", false}}) {
    SCOPED_TRACE(std::string(row.a) + " and " + row.b);
    const HostPort a{"tcp", 80, row.a}, b{"tcp", 80, row.b};
    EXPECT_EQ(Collide(a, b), row.collide);
    EXPECT_EQ(Collide(b, a), row.collide);
    EXPECT_FALSE(Collide(a, {"udp", 80, row.b}));
    EXPECT_FALSE(Collide(a, {"tcp", 81, row.b}));
  }
}

TEST(HostPorts, AddressesAreWrittenInOneWay) {
  EXPECT_EQ(*HostIp(""), "");
  EXPECT_EQ(*HostIp("FD00:0::1"), "fd00::1");
  EXPECT_EQ(*HostIp("::ffff:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(*HostIp("::"), "::");
  for (const char* wrong : {"localhost", "1.2.3.4/24", "::1 accept; drop", "1.2.3"}) {
    ASSERT_FALSE(HostIp(wrong)) << wrong;
    EXPECT_EQ(HostIp(wrong).error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(HostPorts, APodThatIsRefusedHasNone) {
  HostPortTable table;
  ASSERT_TRUE(table.Claim(PodId("a"), {{"tcp", 80, ""}}));
  const auto refused = table.Claim(PodId("b"), {{"udp", 53, ""}, {"tcp", 80, "10.0.0.1"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(refused.error().message, "host port 80/tcp is taken by pod a");
  EXPECT_TRUE(table.Claim(PodId("c"), {{"udp", 53, ""}}));
  table.Release(PodId("a"));
  EXPECT_TRUE(table.Claim(PodId("b"), {{"tcp", 80, "10.0.0.1"}}));
}

}  // namespace
}  // namespace catamaran
