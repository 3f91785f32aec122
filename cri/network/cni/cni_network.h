#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "cri/base/notice.h"
#include "cri/network/cni/attachment_store.h"
#include "cri/network/cni/configuration_watch.h"
#include "cri/network/cni/plugin_run.h"
#include "cri/network/host_ports.h"
#include "cri/network/pod_claims.h"
#include "cri/network/pod_network.h"

namespace catamaran {

struct CniNetworkOptions {
  HostPath root;      // for records: <root>/network/cni
  HostPath run;       // for netns pins: <run>/netns; for guards: <run>/cni
  HostPath conf_dir;  // "/etc/cni/net.d"
  std::vector<HostPath> bin_dirs;
  HostPath shim;  // catamaran-shim, for pods with a user namespace
  catamaran::Notice notice;
  std::chrono::milliseconds status_interval{10'000};  // how often STATUS is asked
  std::chrono::milliseconds retry_interval{10'000};   // how often a failed DEL is tried again
};
Result<std::unique_ptr<PodNetwork>> MakeCniNetwork(const CniNetworkOptions& options);

// Pods' networks by CNI plugins. Use MakeCniNetwork.
//
// No address is lost: the record of an attachment is on disk before the first ADD, with the network
// as it is configured then, and stays until every plugin's DEL succeeded. What DetachExcept could
// not give back is tried again in the background.
class CniNetwork final : public PodNetwork {
 public:
  static Result<std::unique_ptr<CniNetwork>> Make(const CniNetworkOptions& options);
  ~CniNetwork() override;  // waits for plugins that run in the background

  Readiness ready() const override { return watch_->readiness(); }
  Result<PodNetworkResult> Attach(const PodNetworkRequest& request, Deadline deadline) override;
  Status Detach(const PodId& pod, Deadline deadline) override;
  // Returns the first failure, after having tried them all. GC and CHECK follow in the background.
  Status DetachExcept(const std::vector<PodId>& pods, Deadline deadline) override;
  Status SetPodCidr(const std::string& cidr) override;

 private:
  using Attachment = network::CniAttachment;

  CniNetwork(const CniNetworkOptions& options, AttachmentStore store, std::string boot_id);

  Result<Attachment> Plan(const CniNetworkList& network, const PodNetworkRequest& request) const;
  Result<PodNetworkResult> Connect(const CniNetworkList& network, Attachment attachment,
                                   const std::optional<spec::UserNamespace>& users,
                                   Deadline deadline);
  Attachment FindAttachment(const PodId& pod) const;  // with an empty pod_id: none
  Status Keep(const Attachment& attachment);
  Status ClaimHostPorts(const PodId& pod, const std::vector<HostPort>& ports);
  void ReleaseHostPorts(const PodId& pod);
  Status TearDown(Attachment attachment, Deadline deadline);
  Result<CniNetworkList> NetworkOf(const Attachment& attachment) const;
  Status DetachAll(const std::vector<PodId>& pods, Deadline deadline);
  Status SweepPins();
  Result<std::shared_lock<std::shared_timed_mutex>> KeepGarbageCollectorOut(Deadline deadline);

  void RunChores();
  void TellOfChange();
  void CollectGarbage();
  void CheckKept();
  void RetryLeftovers();
  void Notice(const std::string& text) const { Notice({}, text); }
  void Notice(const About& about, const std::string& text) const {
    if (notice_) notice_(about, text);
  }

  const AttachmentStore store_;
  const HostPath pins_, guards_;
  const PluginRunner runner_;
  const std::string boot_id_;
  const HostPath shim_;
  const catamaran::Notice notice_;
  const std::chrono::milliseconds retry_interval_;
  PodClaims claims_;
  std::shared_timed_mutex garbage_mutex_;  // shared: an ADD or a DEL; exclusive: a GC

  mutable std::mutex mutex_;  // guards what follows; never held while waiting
  std::map<std::string, Attachment> attachments_;
  HostPortTable host_ports_;  // of the attachments: plugins do not look at one another's pods
  std::set<std::string> leftovers_;  // pods that are gone, whose DEL failed
  std::vector<PodId> unchecked_;     // kept over a restart
  std::string pod_cidr_;
  bool recovered_ = false;  // it is known which attachments are in use
  bool changed_ = false;    // the configuration, since it was last told of
  bool garbage_ = false;    // a network was not yet told which attachments are in use
  bool stopping_ = false;
  std::condition_variable chores_wake_;

  std::unique_ptr<ConfigurationWatch> watch_;
  std::thread chores_;
};

}  // namespace catamaran
