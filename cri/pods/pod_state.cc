#include "cri/pods/pod_state.h"

#include <optional>

namespace catamaran {
namespace {

template <typename State, size_t states, size_t events>
using Table = std::array<std::array<std::optional<State>, events>, states>;

using S = SandboxState;
constexpr Table<S, kSandboxStates.size(), kSandboxEvents.size()> kSandboxTable = {{
    // kCreated     kStop          kLost         kRemove
    {S::kReady, std::nullopt, std::nullopt, S::kRemoving},     // kCreating
    {std::nullopt, S::kNotReady, S::kNotReady, std::nullopt},  // kReady
    {std::nullopt, S::kNotReady, S::kNotReady, S::kRemoving},  // kNotReady
    {std::nullopt, S::kRemoving, S::kRemoving, S::kRemoving},  // kRemoving
}};

using C = ContainerState;
constexpr Table<C, kContainerStates.size(), kContainerEvents.size()> kContainerTable = {{
    // kCreated     kStarted      kExited       kUnreachable  kRemove
    {C::kCreated, std::nullopt, C::kExited, std::nullopt, C::kRemoving},     // kCreating
    {C::kCreated, C::kRunning, C::kExited, C::kUnknown, C::kRemoving},       // kCreated
    {std::nullopt, C::kRunning, C::kExited, C::kUnknown, C::kRemoving},      // kRunning
    {C::kExited, C::kExited, C::kExited, C::kExited, C::kRemoving},          // kExited
    {C::kCreated, C::kRunning, C::kExited, C::kUnknown, C::kRemoving},       // kUnknown
    {C::kRemoving, C::kRemoving, C::kRemoving, C::kRemoving, C::kRemoving},  // kRemoving
}};

constexpr std::array<std::string_view, 4> kSandboxStateNames = {"creating", "ready", "not ready",
                                                                "removing"};
constexpr std::array<std::string_view, 4> kSandboxEventNames = {"created", "stop", "lost",
                                                                "remove"};
constexpr std::array<std::string_view, 6> kContainerStateNames = {
    "creating", "created", "running", "exited", "unknown", "removing"};
constexpr std::array<std::string_view, 5> kContainerEventNames = {"created", "started", "exited",
                                                                  "unreachable", "remove"};

template <typename State, typename Event, typename Transitions>
Result<State> Look(const Transitions& table, State state, Event event, std::string_view what) {
  const auto& next = table[static_cast<size_t>(state)][static_cast<size_t>(event)];
  if (next) return *next;
  return Fail(ErrorCode::kFailedPrecondition, "{} is {}: {} is not possible", what, Name(state),
              Name(event));
}

}  // namespace

Result<SandboxState> Next(SandboxState state, SandboxEvent event) {
  return Look(kSandboxTable, state, event, "sandbox");
}

Result<ContainerState> Next(ContainerState state, ContainerEvent event) {
  return Look(kContainerTable, state, event, "container");
}

std::string_view Name(SandboxState state) { return kSandboxStateNames[static_cast<size_t>(state)]; }
std::string_view Name(SandboxEvent event) { return kSandboxEventNames[static_cast<size_t>(event)]; }
std::string_view Name(ContainerState state) {
  return kContainerStateNames[static_cast<size_t>(state)];
}
std::string_view Name(ContainerEvent event) {
  return kContainerEventNames[static_cast<size_t>(event)];
}

}  // namespace catamaran
