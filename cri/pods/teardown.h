#pragma once

#include "cri/pods/pods.h"

namespace catamaran {

// How pods and containers end. A stop, a removal, the roll-back of a failed creation and the
// clean-up after a crash are the same steps: each is idempotent, does only what is still to do,
// and may be repeated by anybody after a failure or a crash.

// Ends what runs in the pod and gives its network and cgroup back: shim first, because it writes
// its last facts. The record is NOTREADY before anything is touched, so nothing new begins in it.
Status StopPod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// Stops the pod and removes everything of it: leases, data, records, names.
Status RemovePod(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// Rolls a failed creation back, with a deadline of its own: the caller's may be why it failed. What
// cannot be undone now stays recorded, unlisted, and is tried again by Sweep.
void DiscardPod(Pods& pods, const std::shared_ptr<Pod>& pod);

// Tries again what DiscardPod could not finish, in the background: a pod whose network or disk
// hangs holds up no other. Cheap where there is nothing.
void Sweep(Pods& pods);

// Ends and removes what runs under a pod's id and its folders where no record says so: a machine
// that waits for its pod, or what a crash left.
Status DiscardUnrecorded(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// Kills the container if it runs, then removes everything of it.
Status RemoveContainerOf(Pods& pods, const PodTable::Member& member, const CallContext& call);
void DiscardContainer(Pods& pods, const PodTable::Member& member);

// Removes what a container has beside its shim's part: lease, writable layer, record, name, entry.
Status EraseContainer(Pods& pods, const PodTable::Member& member);

// Where the container's writable layer is kept.
HostPath WritableDirectory(const Pod& pod, const ContainerId& container);

}  // namespace catamaran
