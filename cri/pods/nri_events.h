#pragma once

#include "cri/nri/nri_plugins.h"
#include "cri/pods/pods.h"

namespace catamaran {

// The events of NRI plugins, from the operations that bring them about. Each is told once, whoever
// comes first; none is told with a pod's mutex held. What plugins refuse is an error; of what has
// happened already they are only told.

NriHost NriHostOf(Pods& pods);

// After a restart: what the daemon before had told is in no plugin any more, but in the state that
// each is given when it joins.
void MarkKnownToPlugins(Pod& pod);

// The sandbox is made and nobody can see it yet. `ready` is the record as it shall be.
Status TellSandboxRuns(Pods& pods, const std::shared_ptr<Pod>& pod, const record::PodRecord& ready,
                       const CallContext& call);
// Its limits as a whole are about to change, and have changed.
Status TellSandboxUpdate(Pods& pods, Pod& pod,
                         const runtime::v1::UpdatePodSandboxResourcesRequest& wanted,
                         const CallContext& call);
void TellSandboxUpdated(Pods& pods, Pod& pod, const CallContext& call);
// Its containers have ended; its network is still there.
void TellSandboxStopped(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);
void TellSandboxRemoved(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);

// Of these the caller has the container's Turn (`changing`).
Status TellContainerStarts(Pods& pods, const PodTable::Member& member, const CallContext& call);
// Nothing where it has not started, or not ended. What plugins want changed in other containers is
// done in the background.
void TellContainerStopped(Pods& pods, const PodTable::Member& member, const CallContext& call);
void TellContainerRemoved(Pods& pods, const PodTable::Member& member, const CallContext& call);

// POST_CREATE_CONTAINER, POST_START_CONTAINER, POST_UPDATE_CONTAINER.
void TellContainerChanged(Pods& pods, nri::Event event, const PodTable::Member& member,
                          const CallContext& call);

// TellContainerStopped for all containers of the pod, taking their Turns.
void TellContainersStopped(Pods& pods, const std::shared_ptr<Pod>& pod, const CallContext& call);
// The same for one, on a thread of its own: from where nothing may wait.
void TellExitInBackground(Pods& pods, const std::shared_ptr<Pod>& pod,
                          const std::string& container);

}  // namespace catamaran
