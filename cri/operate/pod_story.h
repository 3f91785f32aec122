#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"

namespace catamaran {

// What `catamaran why` tells of a pod, made of what the daemon answers. Pure.

// A call that the daemon is at, from the verbose Status ("calls", see CallsInFlight).
struct CallFact {
  std::string method, pod, container, image, step;
  std::chrono::milliseconds age{0}, step_age{0};
};
// Those of a verbose Status; none where it says nothing of them.
std::vector<CallFact> CallsOf(const ::runtime::v1::StatusResponse& status);

// "namespace/name".
std::string NameOf(const ::runtime::v1::PodSandboxMetadata& metadata);
// The handler that a verbose PodSandboxStatus tells; "" where it tells none.
std::string HandlerOf(const ::runtime::v1::PodSandboxStatusResponse& status);

// A step of a start, from the verbose PodSandboxStatus.
struct StartStep {
  std::string of;    // "" of the pod, else the container's name
  std::string name;  // "network", ...; kWaiting: nothing of ours was at work
  std::chrono::nanoseconds began{0}, took{0};
};
inline constexpr char kWaiting[] = "(asked later)";

// In order, with the pauses between: of a container that was started at once, of others not.
std::vector<StartStep> StepsOf(const ::runtime::v1::PodSandboxStatusResponse& status);
// Of ours alone, without pauses.
std::chrono::nanoseconds TotalOf(const std::vector<StartStep>& steps);

struct PodStory {
  ::runtime::v1::PodSandboxStatusResponse status;
  std::vector<CallFact> calls;             // of the whole node
  std::vector<std::string> node_troubles;  // conditions that are not as they should be
  std::chrono::nanoseconds now{0};         // Unix time
};
// For people: what it waits for, what its start was spent on, how its containers are.
std::string TellPod(const PodStory& story);

// Of a pod that is not listed (yet): the calls that make it; "" where none do.
std::string TellPodInTheMaking(const std::string& name, const std::vector<CallFact>& calls);

// Of the whole node: what is in flight, and pods and conditions that are not as they should be.
std::string TellNode(const std::vector<CallFact>& calls, const std::vector<std::string>& troubles);

// "3m12s", "4h05m", "212 ms".
std::string ShowDuration(std::chrono::nanoseconds duration);

}  // namespace catamaran
