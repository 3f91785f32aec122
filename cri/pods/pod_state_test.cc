#include "cri/pods/pod_state.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

namespace catamaran {
namespace {

// The diagrams of pod_state.h once more, as the list of what is allowed; all else must be refused.
TEST(SandboxStates, FollowTheDiagramAndNothingElse) {
  using S = SandboxState;
  using E = SandboxEvent;
  const std::map<std::pair<S, E>, S> allowed = {
      {{S::kCreating, E::kCreated}, S::kReady},   {{S::kCreating, E::kRemove}, S::kRemoving},
      {{S::kReady, E::kStop}, S::kNotReady},      {{S::kReady, E::kLost}, S::kNotReady},
      {{S::kNotReady, E::kStop}, S::kNotReady},   {{S::kNotReady, E::kLost}, S::kNotReady},
      {{S::kNotReady, E::kRemove}, S::kRemoving}, {{S::kRemoving, E::kStop}, S::kRemoving},
      {{S::kRemoving, E::kLost}, S::kRemoving},   {{S::kRemoving, E::kRemove}, S::kRemoving},
  };
  for (S state : kSandboxStates) {
    for (E event : kSandboxEvents) {
      SCOPED_TRACE(std::string(Name(state)) + " + " + std::string(Name(event)));
      const auto next = Next(state, event);
      const auto expected = allowed.find({state, event});
      ASSERT_EQ(next.has_value(), expected != allowed.end());
      if (next) {
        EXPECT_EQ(*next, expected->second);
      } else {
        EXPECT_EQ(next.error().code, ErrorCode::kFailedPrecondition);
      }
    }
  }
}

TEST(ContainerStates, FollowTheDiagramAndNothingElse) {
  using S = ContainerState;
  using E = ContainerEvent;
  std::map<std::pair<S, E>, S> allowed = {
      {{S::kCreating, E::kCreated}, S::kCreated},    {{S::kCreating, E::kExited}, S::kExited},
      {{S::kCreated, E::kCreated}, S::kCreated},     {{S::kCreated, E::kStarted}, S::kRunning},
      {{S::kCreated, E::kExited}, S::kExited},       {{S::kCreated, E::kUnreachable}, S::kUnknown},
      {{S::kRunning, E::kStarted}, S::kRunning},     {{S::kRunning, E::kExited}, S::kExited},
      {{S::kRunning, E::kUnreachable}, S::kUnknown}, {{S::kUnknown, E::kCreated}, S::kCreated},
      {{S::kUnknown, E::kStarted}, S::kRunning},     {{S::kUnknown, E::kExited}, S::kExited},
      {{S::kUnknown, E::kUnreachable}, S::kUnknown},
  };
  for (E event : kContainerEvents) {
    allowed[{S::kExited, event}] = S::kExited;
    allowed[{S::kRemoving, event}] = S::kRemoving;
  }
  for (S state : kContainerStates) allowed[{state, E::kRemove}] = S::kRemoving;
  for (S state : kContainerStates) {
    for (E event : kContainerEvents) {
      SCOPED_TRACE(std::string(Name(state)) + " + " + std::string(Name(event)));
      const auto next = Next(state, event);
      const auto expected = allowed.find({state, event});
      ASSERT_EQ(next.has_value(), expected != allowed.end());
      if (next) {
        EXPECT_EQ(*next, expected->second);
      } else {
        EXPECT_EQ(next.error().code, ErrorCode::kFailedPrecondition);
      }
    }
  }
}

}  // namespace
}  // namespace catamaran
