// Rates of pods: bytes are really sent, see transfer.h.
#include "cri/network/builtin/testing/builtin_machine.h"

namespace catamaran {
namespace {

class BandwidthOnBuiltin : public BuiltinMachine {
 protected:
  static PodNetworkRequest Limited(const std::string& pod, const char* annotation,
                                   const std::string& rate = kMegabyteASecond) {
    auto request = Request(pod);
    request.annotations[annotation] = rate;
    return request;
  }
  static Seconds Transfer(const PodNetworkResult* from, const PodNetworkResult* to, int tries = 1) {
    return BuiltinMachine::Transfer(from, to, tries, "192.0.2.2");
  }
};

TEST_F(BandwidthOnBuiltin, IngressIsWhatThePodReceives) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kIngressBandwidth));
  const auto limited = Transfer(nullptr, &pod);
  EXPECT_GT(limited, kLeastTransferTime);
  EXPECT_LT(Transfer(&pod, nullptr, 5), limited / 2) << "what it sends is not";
}

TEST_F(BandwidthOnBuiltin, EgressIsWhatThePodSends) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kEgressBandwidth));
  const auto other = Attach(*network, Request("other"));
  const auto limited = Transfer(&pod, nullptr);
  EXPECT_GT(limited, kLeastTransferTime);
  EXPECT_GT(Transfer(&pod, &other), kLeastTransferTime);
  EXPECT_LT(Transfer(nullptr, &pod, 5), limited / 2) << "what it receives is not";
  EXPECT_LT(Transfer(&other, nullptr, 5), limited / 2) << "nor is its neighbour";
}

TEST_F(BandwidthOnBuiltin, APodCannotLiftItsOwnLimit) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kEgressBandwidth));
  // All that root of the pod's namespace can change: the queue of its own end.
  auto inside = Netlink::OpenIn(Open(pod).get()).value();
  ASSERT_TRUE(inside.LimitRate("eth0", {1'000'000'000, 10'000'000, 10'000'000}));
  EXPECT_GT(Transfer(&pod, nullptr), kLeastTransferTime);
}

TEST_F(BandwidthOnBuiltin, ALimitGoesWithItsPod) {
  const auto network = Make();
  const auto idle = Remains();
  auto request = Limited("pod", kEgressBandwidth);
  request.annotations[kIngressBandwidth] = kMegabyteASecond;
  Attach(*network, request);
  EXPECT_NE(OutputOf("tc qdisc show", "qdisc tbf").find("rate 8Mbit"), std::string::npos);
  ASSERT_TRUE(network->Detach(PodId("pod"), Soon()));
  EXPECT_EQ(Remains(), idle);
  EXPECT_EQ(OutputOf("tc qdisc show", "qdisc tbf"), "");
}

TEST_F(BandwidthOnBuiltin, EveryRateTheKubeletTakesIsTaken) {
  const auto network = Make();
  for (const std::string rate : {"1k", "1M", "34359738360", "100G", "1P"}) {
    SCOPED_TRACE(rate);
    auto request = Limited("pod", kEgressBandwidth, rate);
    request.annotations[kIngressBandwidth] = rate;
    Attach(*network, request);
    ASSERT_TRUE(network->Detach(PodId("pod"), Soon()));
  }
  for (const std::string rate : {"999", "2P", "fast"}) {
    const auto refused = network->Attach(Limited("pod", kIngressBandwidth, rate), Soon());
    ASSERT_FALSE(refused) << rate;
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find(kIngressBandwidth), std::string::npos);
  }
}

}  // namespace
}  // namespace catamaran
