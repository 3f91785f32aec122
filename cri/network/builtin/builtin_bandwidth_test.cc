// Rates of pods: bytes are really sent, and how long they took is looked at. A busy machine makes
// nothing faster, so what is limited cannot be too fast; what is not is compared with what is.
#include <sys/socket.h>

#include <chrono>

#include "cri/network/builtin/testing/builtin_machine.h"

namespace catamaran {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr size_t kBytes = 1'500'000;
constexpr char kRate[] = "8M";  // a megabyte a second
// The bytes less a burst's, and a tenth for clocks that differ.
constexpr Seconds kLeastTime{(kBytes - 100'000) / 1e6 * 0.9};

class BandwidthOnBuiltin : public BuiltinMachine {
 protected:
  static PodNetworkRequest Limited(const std::string& pod, const char* annotation,
                                   const std::string& rate = kRate) {
    auto request = Request(pod);
    request.annotations[annotation] = rate;
    return request;
  }
  // The quickest of some tries: what else the machine does counts less.
  static Seconds Transfer(const PodNetworkResult* from, const PodNetworkResult* to, int tries = 1) {
    Seconds best{1e9};
    for (int i = 0; i < tries; ++i) best = std::min(best, TransferOnce(from, to));
    return best;
  }

 private:
  // nullptr: the machine.
  static Seconds TransferOnce(const PodNetworkResult* from, const PodNetworkResult* to) {
    const std::string address = to == nullptr ? "192.0.2.2" : to->ips().at(0);
    const UniqueFd listener =
        to == nullptr ? Listen(address, 9000).value() : ListenIn(*to, address, 9000);
    const auto connect_there = [&] {
      auto made = std::make_shared<UniqueFd>(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const Address name = At(address, 9000);
      EXPECT_EQ(connect(made->get(), reinterpret_cast<const sockaddr*>(&name.storage), name.length),
                0);
      return made;
    };
    const auto client = from == nullptr ? connect_there() : In(*from, connect_there);
    const UniqueFd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto begin = std::chrono::steady_clock::now();
    std::thread writer([&] {
      EXPECT_TRUE(WriteAll(client->get(), std::string(kBytes, 'x')));
      shutdown(client->get(), SHUT_WR);
    });
    size_t received = 0;
    char buffer[65536];
    for (ssize_t count; (count = read(server.get(), buffer, sizeof buffer)) > 0;)
      received += static_cast<size_t>(count);
    writer.join();
    EXPECT_EQ(received, kBytes);
    return std::chrono::steady_clock::now() - begin;
  }
};

TEST_F(BandwidthOnBuiltin, IngressIsWhatThePodReceives) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kIngressBandwidth));
  const auto limited = Transfer(nullptr, &pod);
  EXPECT_GT(limited, kLeastTime);
  EXPECT_LT(Transfer(&pod, nullptr, 5), limited / 2) << "what it sends is not";
}

TEST_F(BandwidthOnBuiltin, EgressIsWhatThePodSends) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kEgressBandwidth));
  const auto other = Attach(*network, Request("other"));
  const auto limited = Transfer(&pod, nullptr);
  EXPECT_GT(limited, kLeastTime);
  EXPECT_GT(Transfer(&pod, &other), kLeastTime);
  EXPECT_LT(Transfer(nullptr, &pod, 5), limited / 2) << "what it receives is not";
  EXPECT_LT(Transfer(&other, nullptr, 5), limited / 2) << "nor is its neighbour";
}

TEST_F(BandwidthOnBuiltin, APodCannotLiftItsOwnLimit) {
  const auto network = Make();
  const auto pod = Attach(*network, Limited("pod", kEgressBandwidth));
  // All that root of the pod's namespace can change: the queue of its own end.
  auto inside = Netlink::OpenIn(Open(pod).get()).value();
  ASSERT_TRUE(inside.LimitRate("eth0", {1'000'000'000, 10'000'000, 10'000'000}));
  EXPECT_GT(Transfer(&pod, nullptr), kLeastTime);
}

TEST_F(BandwidthOnBuiltin, ALimitGoesWithItsPod) {
  const auto network = Make();
  const auto idle = Remains();
  auto request = Limited("pod", kEgressBandwidth);
  request.annotations[kIngressBandwidth] = kRate;
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
