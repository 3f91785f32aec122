#include "cri/pods/operations.h"

namespace catamaran {
namespace {

// How soon it is noticed that the caller has gone.
constexpr std::chrono::milliseconds kPoll{500};

}  // namespace

Status GetContainerEvents(const v1::GetEventsRequest&, const CallContext& call, Pods& pods,
                          const StreamWriter<v1::ContainerEventResponse>& writer) {
  ContainerEvents::Subscription subscription(pods.events());
  writer.begin();
  while (!call.cancelled()) {
    ASSIGN_OR_RETURN(const auto event, subscription.Next(kPoll));
    if (event && !writer.write(*event)) break;
  }
  return {};
}

}  // namespace catamaran
