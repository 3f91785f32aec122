#pragma once

#include "sandbox/container/init.h"

namespace catamaran {

// The child side where the sandbox has a user namespace. Two processes, because what builds a
// container needs the machine's root and its program must be born without it: who is in the user
// namespace could not mount an image, and who is not cannot clone into a pid namespace that the
// user namespace owns.
//
//   program:  joins the namespaces ── Start ──▶ builder                       becomes the program
//   builder:                                    builds ── Descriptor "mnt" ──▶ program
//
// The builder works in the program's pid and cgroup namespaces but as the machine's root, in a
// mount namespace of its own; files that it makes belong to the container's root. At the end it
// enters the user namespace and leaves a copy of the mount namespace there, which the program
// joins. That copy crossed into a user namespace: no mount in it can be taken off or made writable
// by the container, whatever its capabilities (mount_namespaces(7), restrictions). Failed goes the
// same way as "mnt".

// Born in the user namespace (mapped_process.h), in the group, and with its pid namespace.
int RunMappedProgram(const InitInput& input, const StageChannel& handover);

// Born as the machine's root in a new mount namespace and in the program's pid namespace.
int RunMappedBuilder(const InitInput& input, const StageChannel& handover, int program_pidfd);

}  // namespace catamaran
