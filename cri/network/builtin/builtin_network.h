#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cri/network/builtin/address_range.h"
#include "cri/network/builtin/network_record.pb.h"
#include "cri/network/builtin/record_store.h"
#include "cri/network/host_ports.h"
#include "cri/network/pod_claims.h"
#include "cri/network/pod_network.h"
#include "sandbox/kernel/netlink.h"

namespace catamaran {

struct BuiltinNetworkOptions {
  HostPath root;  // for records: <root>/network
  HostPath run;   // for netns pins: <run>/netns
  std::string cidr_v4 = "10.88.0.0/16";
  std::string cidr_v6;  // empty: IPv4 only
  HostPath shim;        // catamaran-shim, for pods with a user namespace
};
Result<std::unique_ptr<PodNetwork>> MakeBuiltinNetwork(const BuiltinNetworkOptions& options);

// The network that needs no plugins: every pod gets a routed veth pair and an address from one
// range. Use MakeBuiltinNetwork.
//
// The order of things makes it safe to be killed anywhere: a pod's record is on disk before
// anything it names is made, and is removed after everything it names is gone. What no record names
// is swept by DetachExcept: it carries this daemon's tag in its name, or lies in its run folder.
class BuiltinNetwork final : public PodNetwork {
 public:
  static Result<std::unique_ptr<BuiltinNetwork>> Make(const BuiltinNetworkOptions& options);
  // Takes the rule set out of the kernel unless pods still use it.
  ~BuiltinNetwork() override;

  Readiness ready() const override { return {true, "", ""}; }
  Result<PodNetworkResult> Attach(const PodNetworkRequest& request, Deadline deadline) override;
  Status Detach(const PodId& pod, Deadline deadline) override;
  // Returns the first failure, after having tried them all.
  Status DetachExcept(const std::vector<PodId>& pods, Deadline deadline) override;
  Status SetPodCidr(const std::string& cidr) override;

 private:
  using Record = network::NetworkRecord;

  BuiltinNetwork(NetworkRecordStore store, HostPath pins, std::string tag, std::string boot_id)
      : store_(std::move(store)),
        pins_(std::move(pins)),
        tag_(std::move(tag)),
        boot_id_(std::move(boot_id)) {}

  Result<Record> Plan(const PodNetworkRequest& request) const;
  Result<Record> Reserve(Record record);
  Result<uint32_t> NextFreeSlot() const;
  Result<bool> IsSomebodyElses(const Record& record, Netlink& netlink) const;
  uint32_t Slots() const;  // how many the ranges have
  Status Connect(const Record& record, const PodNetworkRequest& request, Deadline deadline);
  Status TearDown(const Record& record, Deadline deadline);
  Status UpdateRules(Deadline deadline);
  Status Sweep();
  std::string LinkOf(uint32_t slot) const { return fmt::format("cat{}{:05x}", tag_, slot); }
  std::string SentLinkOf(uint32_t slot) const { return fmt::format("cab{}{:05x}", tag_, slot); }

  const NetworkRecordStore store_;
  const HostPath pins_;
  const std::string tag_;  // of everything this daemon makes in the machine's namespace
  const std::string boot_id_;
  HostPath shim_;

  PodClaims claims_;
  // Guards what follows; never held while waiting for anything but disks.
  mutable std::mutex mutex_;
  std::map<std::string, Record> records_;
  HostPortTable host_ports_;  // of the records
  std::vector<AddressRange> ranges_;
  std::string pod_cidr_;
  uint32_t last_slot_ = AddressRange::kFirstSlot - 1;

  std::mutex rules_mutex_;  // one nft at a time, each with the newest records
};

}  // namespace catamaran
