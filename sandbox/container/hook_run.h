#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// One hook: its program with `state` (JSON) as standard input and nothing but its own environment,
// in a session of its own. Waits for its end, for its timeout_seconds or kDefaultHookTimeout at
// most, and kills it then with all of its group; it dies with the calling process. The error tells
// how it ended and the beginning of what it wrote. kFailedPrecondition.
//
// Single-threaded callers only. Made of system calls that the default seccomp profile allows.
Status RunHook(const spec::Hook& hook, const std::string& state);

// The specification knows hooks without a limit; a verb has to end.
inline constexpr unsigned kDefaultHookTimeoutSeconds = 60;

}  // namespace catamaran
