#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <netinet/in.h>

#include <algorithm>

#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/netlink_message.h"

// Traffic control: what enters one link leaves by another, and rates that are kept.
namespace catamaran {
namespace {

constexpr uint32_t kFilterPriority = 1;

tcmsg TrafficBody(int link, uint32_t parent, uint32_t handle, uint32_t info = 0) {
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = link;
  body.tcm_handle = handle;
  body.tcm_parent = parent;
  body.tcm_info = info;
  return body;
}

NetlinkMessage IngressQdisc(int link) {
  NetlinkMessage request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                         TrafficBody(link, TC_H_INGRESS, TC_H_MAKE(TC_H_INGRESS, 0)));
  request.AddText(TCA_KIND, "ingress");
  return request;
}

// u32 rather than matchall: every kernel configuration that has mirred seems to have it. One key
// with an empty mask matches every packet (tc-u32(8): "match u32 0 0").
NetlinkMessage RedirectFilter(int from, int to) {
  NetlinkMessage request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                         TrafficBody(from, TC_H_MAKE(TC_H_INGRESS, 0), 0,
                                     TC_H_MAKE(kFilterPriority << 16, htons(ETH_P_ALL))));
  request.AddText(TCA_KIND, "u32");
  const size_t options = request.Begin(TCA_OPTIONS);

  tc_u32_sel selector{};
  selector.flags = TC_U32_TERMINAL;
  selector.nkeys = 1;
  const tc_u32_key everything{};
  request.Add(TCA_U32_SEL,
              std::string(reinterpret_cast<const char*>(&selector), sizeof selector) +
                  std::string(reinterpret_cast<const char*>(&everything), sizeof everything));

  const size_t actions = request.Begin(TCA_U32_ACT);
  const size_t first = request.Begin(1);  // the order of the only action
  request.AddText(TCA_ACT_KIND, "mirred");
  const size_t action_options = request.Begin(TCA_ACT_OPTIONS);
  tc_mirred redirect{};
  redirect.action = TC_ACT_STOLEN;
  redirect.eaction = TCA_EGRESS_REDIR;
  redirect.ifindex = static_cast<uint32_t>(to);
  request.AddNumber(TCA_MIRRED_PARMS, redirect);
  request.End(action_options);
  request.End(first);
  request.End(actions);
  request.End(options);
  return request;
}

// Bytes a second, whatever their number (tc_ratespec has 32 bits).
tc_ratespec RateSpec(uint64_t rate) {
  tc_ratespec spec{};
  spec.linklayer = TC_LINKLAYER_ETHERNET;
  spec.rate = static_cast<uint32_t>(std::min<uint64_t>(rate, UINT32_MAX));
  return spec;
}

NetlinkMessage TokenBucket(int link, const RateLimit& limit) {
  NetlinkMessage request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE,
                         TrafficBody(link, TC_H_ROOT, TC_H_MAKE(1 << 16, 0)));
  request.AddText(TCA_KIND, "tbf");
  const size_t options = request.Begin(TCA_OPTIONS);
  tc_tbf_qopt bucket{};
  bucket.rate = RateSpec(limit.bytes_per_second);
  bucket.limit = limit.queue_bytes;
  request.AddNumber(TCA_TBF_PARMS, bucket);
  request.AddNumber(TCA_TBF_BURST, limit.burst_bytes);
  if (limit.bytes_per_second > UINT32_MAX)
    request.AddNumber(TCA_TBF_RATE64, limit.bytes_per_second);
  request.End(options);
  return request;
}

}  // namespace

Status Netlink::LimitRate(const std::string& name, const RateLimit& limit) {
  ASSIGN_OR_RETURN(const int index, IndexOf(name));
  auto limited = Transact(TokenBucket(index, limit).Finish(++sequence_, NLM_F_ACK));
  AbortStep();
  if (limited) return {};
  if (limited.error().system_errno == ENOENT)  // "Specified qdisc kind is unknown"
    return Fail(ErrorCode::kFailedPrecondition,
                "this kernel has no queueing discipline tbf (CONFIG_NET_SCH_TBF)");
  return tl::unexpected(std::move(limited).error().While("limit the rate of " + name));
}

Status Netlink::RedirectIngress(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const int from_index, IndexOf(from));
  ASSIGN_OR_RETURN(const int to_index, IndexOf(to));
  return RedirectIngress(from_index, to_index);
}

Status Netlink::RedirectIngress(int from, int to) {
  auto qdisc = Transact(IngressQdisc(from).Finish(++sequence_, NLM_F_ACK));
  if (!qdisc && qdisc.error().system_errno != EEXIST)
    return tl::unexpected(std::move(qdisc).error().While("add an ingress qdisc"));
  AbortStep();
  auto filter = Transact(RedirectFilter(from, to).Finish(++sequence_, NLM_F_ACK));
  if (!filter && filter.error().system_errno != EEXIST)
    return tl::unexpected(std::move(filter).error().While("redirect all traffic"));
  AbortStep();
  return {};
}

Status Netlink::JoinLinks(const std::string& first, const std::string& second) {
  ASSIGN_OR_RETURN(const int first_index, IndexOf(first));
  ASSIGN_OR_RETURN(const int second_index, IndexOf(second));
  RETURN_IF_ERROR(RedirectIngress(first_index, second_index));
  return RedirectIngress(second_index, first_index);
}

}  // namespace catamaran
