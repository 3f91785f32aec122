#pragma once

#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran-shim left-hooks STATE_DIRECTORY SECONDS`: runs the poststop hooks of the containers of
// a pod whose shim was killed (RunLeftHooks of sandbox/container/hooks.h) and prints what failed on
// standard output. For the daemon, which never forks. STATE_DIRECTORY is that of the SandboxSpec;
// nothing of the pod may run any more. After SECONDS what still runs is killed.
Status RunLeftHooksCommand(int argc, char** argv);

}  // namespace catamaran
