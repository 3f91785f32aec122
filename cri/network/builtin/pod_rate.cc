#include "cri/network/builtin/pod_rate.h"

#include <algorithm>

#include "sandbox/kernel/netlink.h"

namespace catamaran {
namespace {

constexpr uint64_t kEthernetHeader = 14;
// What may wait beyond a burst: a twentieth of a second's bytes, at least so many packets.
constexpr uint64_t kQueuesASecond = 20, kLeastQueuedPackets = 32;

RateLimit LimitOf(uint64_t bits_per_second, uint32_t mtu) {
  const uint64_t packet = mtu + kEthernetHeader;
  const uint64_t rate = (bits_per_second + 7) / 8;
  const uint64_t burst = std::max(BurstOf(bits_per_second) / 8, packet);
  const uint64_t queue = burst + std::max(rate / kQueuesASecond, kLeastQueuedPackets * packet);
  return {.bytes_per_second = rate,
          .burst_bytes = static_cast<uint32_t>(burst),
          .queue_bytes = static_cast<uint32_t>(std::min<uint64_t>(queue, UINT32_MAX))};
}

Status LimitSent(Netlink& netlink, const std::string& host_link, const std::string& sent_link,
                 const RateLimit& limit) {
  RETURN_IF_ERROR(netlink.AddLink(sent_link, "ifb"));
  RETURN_IF_ERROR(netlink.LimitRate(sent_link, limit));
  RETURN_IF_ERROR(netlink.SetLinkUp(sent_link));
  return netlink.RedirectIngress(host_link, sent_link);
}

Status OfAnnotation(const char* annotation, Status status) {
  if (status) return {};
  return tl::unexpected(
      std::move(status).error().While(fmt::format("config.annotations[\"{}\"]", annotation)));
}

}  // namespace

Status LimitPod(const std::string& host_link, const std::string& sent_link,
                const PodBandwidth& limits, uint32_t mtu) {
  ASSIGN_OR_RETURN(auto netlink, Netlink::Open());
  if (limits.ingress != 0)
    RETURN_IF_ERROR(OfAnnotation(kIngressBandwidth,
                                 netlink.LimitRate(host_link, LimitOf(limits.ingress, mtu))));
  if (limits.egress == 0) return {};
  return OfAnnotation(kEgressBandwidth,
                      LimitSent(netlink, host_link, sent_link, LimitOf(limits.egress, mtu)));
}

}  // namespace catamaran
