#pragma once

#include <array>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// The life of a sandbox. A pod in creation is not listed; one that is being removed is listed
// NOTREADY until it is gone (if it was ever listed).
//
//   kCreating ──created──▶ kReady ──stop, lost──▶ kNotReady ──remove──▶ kRemoving
//       └──────────────────────── remove (roll-back) ──────────────────────▲
//
// Stop and lost are repeatable once it is not ready; so is remove.
enum class SandboxState { kCreating = 0, kReady = 1, kNotReady = 2, kRemoving = 3 };
enum class SandboxEvent {
  kCreated,  // the shim made the sandbox
  kStop,     // StopPodSandbox, or a force by RemovePodSandbox
  kLost,     // its shim, its VM or its boot is gone
  kRemove,
};

// The life of a container.
//
//   kCreating ──created──▶ kCreated ──started──▶ kRunning ──exited──▶ kExited
//       │                     │  ▲                 │  ▲                  ▲
//       │ exited              │  └─created─┐  unreachable started        │
//       │                     └─unreachable─▶ kUnknown ────exited────────┤
//       └────────────────────────────────────────────────────────────────┘
//   every state ──remove──▶ kRemoving
//
// An exit may be reported before the answer to Start is: started leaves kExited as it is. kUnknown
// is a container whose living shim does not answer (after a restart of the daemon).
enum class ContainerState {
  kCreating = 0,
  kCreated = 1,
  kRunning = 2,
  kExited = 3,
  kUnknown = 4,
  kRemoving = 5,
};
enum class ContainerEvent { kCreated, kStarted, kExited, kUnreachable, kRemove };

// The state after an event; kFailedPrecondition where the event cannot happen in this state.
Result<SandboxState> Next(SandboxState state, SandboxEvent event);
Result<ContainerState> Next(ContainerState state, ContainerEvent event);

std::string_view Name(SandboxState state);
std::string_view Name(SandboxEvent event);
std::string_view Name(ContainerState state);
std::string_view Name(ContainerEvent event);

inline constexpr std::array kSandboxStates = {SandboxState::kCreating, SandboxState::kReady,
                                              SandboxState::kNotReady, SandboxState::kRemoving};
inline constexpr std::array kSandboxEvents = {SandboxEvent::kCreated, SandboxEvent::kStop,
                                              SandboxEvent::kLost, SandboxEvent::kRemove};
inline constexpr std::array kContainerStates = {
    ContainerState::kCreating, ContainerState::kCreated, ContainerState::kRunning,
    ContainerState::kExited,   ContainerState::kUnknown, ContainerState::kRemoving};
inline constexpr std::array kContainerEvents = {
    ContainerEvent::kCreated, ContainerEvent::kStarted, ContainerEvent::kExited,
    ContainerEvent::kUnreachable, ContainerEvent::kRemove};

}  // namespace catamaran
