#pragma once

#include <string_view>

#include "cri/nri/nri.pb.h"

namespace catamaran {

namespace nri = ::nri::pkg::api::v1alpha1;

inline constexpr char kNriPluginService[] = "nri.pkg.api.v1alpha1.Plugin";
inline constexpr char kNriRuntimeService[] = "nri.pkg.api.v1alpha1.Runtime";

// The bits of ConfigureResponse.events that there are.
inline constexpr int32_t kEveryNriEvent = (1 << 14) - 1;
inline constexpr int32_t BitOf(nri::Event event) { return 1 << (event - 1); }

// The method of the plugin's service by which an event is told.
inline constexpr std::string_view MethodOf(nri::Event event) {
  switch (event) {
    case nri::RUN_POD_SANDBOX:
      return "RunPodSandbox";
    case nri::STOP_POD_SANDBOX:
      return "StopPodSandbox";
    case nri::REMOVE_POD_SANDBOX:
      return "RemovePodSandbox";
    case nri::CREATE_CONTAINER:
      return "CreateContainer";
    case nri::POST_CREATE_CONTAINER:
      return "PostCreateContainer";
    case nri::START_CONTAINER:
      return "StartContainer";
    case nri::POST_START_CONTAINER:
      return "PostStartContainer";
    case nri::UPDATE_CONTAINER:
      return "UpdateContainer";
    case nri::POST_UPDATE_CONTAINER:
      return "PostUpdateContainer";
    case nri::STOP_CONTAINER:
      return "StopContainer";
    case nri::REMOVE_CONTAINER:
      return "RemoveContainer";
    case nri::UPDATE_POD_SANDBOX:
      return "UpdatePodSandbox";
    case nri::POST_UPDATE_POD_SANDBOX:
      return "PostUpdatePodSandbox";
    case nri::VALIDATE_CONTAINER_ADJUSTMENT:
      return "ValidateContainerAdjustment";
    default:
      return "";
  }
}

// A plugin may refuse these, and what they tell of does not happen then. Refusals of the others
// are noticed only: what they tell of has happened.
inline constexpr bool MayBeRefused(nri::Event event) {
  return event == nri::RUN_POD_SANDBOX || event == nri::UPDATE_POD_SANDBOX ||
         event == nri::CREATE_CONTAINER || event == nri::START_CONTAINER ||
         event == nri::UPDATE_CONTAINER;
}

}  // namespace catamaran
