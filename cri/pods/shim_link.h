#pragma once

#include <memory>
#include <string>

#include "cri/pods/pods.h"

namespace catamaran {

// The link between a pod and its shim: connecting, what the shim reports, and its loss.

// For ShimManager::Spawn and Reconnect. They hold the pod weakly; `pods` outlives the manager.
ShimClient::Events EventsOf(Pods& pods, const std::shared_ptr<Pod>& pod);

// A READY pod with its shim, held for one call's work in it.
struct PodInUse {
  std::shared_ptr<ShimClient> shim;
  PodUse use;
};
// Reconnects the shim first where that is still due. kFailedPrecondition where the pod is not
// READY; kUnavailable where its shim is gone; kDeadlineExceeded where it does not answer.
Result<PodInUse> UsePod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// Connects to the shim of a pod that has none in memory and takes over what it says (reconcile.h).
// kNotFound where the shim is gone: the pod is lost then.
Status ConnectShim(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// The pod's sandbox is gone without having been asked to go: marks it NotReady with this reason at
// once, and ends what is left of it in the background. Does not block.
void LosePod(Pods& pods, const std::shared_ptr<Pod>& pod, const std::string& reason,
             const std::string& message);

// Starts the pod's shim in the pod's group, `cgroup`, and makes it the pod's. After a failure a
// shim may live all the same: EndShim.
Status StartShim(Pods& pods, const std::shared_ptr<Pod>& pod, ShimManager::Backend backend,
                 const std::string& cgroup, ShimClient::Events events, Deadline deadline);

// The group that a machine is in while it waits for its pod, see machine_pool.h.
std::string WaitingCgroup(const Pods& pods, const PodId& pod);
// All groups in which processes of the pod may be: its own, and where it has a machine the one in
// which that may have waited. The caller holds pod.mutex.
std::vector<std::string> CgroupsOf(const Pods& pods, const Pod& pod);

// Ends everything that runs in the pod: politely where its shim answers, else by its cgroup. Once
// it has succeeded no process of the pod lives and no event comes. Idempotent, bounded (10 s) also
// without a deadline.
Status EndShim(Pods& pods, const std::shared_ptr<Pod>& pod, Deadline deadline);

// After EndShim: gives every container that has not ended an exit: the one the shim wrote down,
// else an unknown one (255) with `why` as its message.
void SettleContainers(Pods& pods, Pod& pod, const std::string& why);

// Writes the record of a change that has happened whether or not it can be written; what fails is
// noticed. The caller holds pod.mutex.
void SaveFact(Pods& pods, const record::PodRecord& record);
void SaveFact(Pods& pods, const record::ContainerRecord& record);

}  // namespace catamaran
