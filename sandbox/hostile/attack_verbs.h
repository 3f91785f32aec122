#pragma once

#include "sandbox/backend/engine_probe.h"

namespace catamaran {

// What an attacker's program does inside its container, as verbs of the probe. "For ever" is 90 s,
// or until the engine that started it dies: a test that is killed leaves nothing that runs.
//
//   exchange:A:B             swaps two names for ever
//   plant:NAME:TARGET        puts a link in the place of NAME and takes it away, for ever
//   link-for-folder:NAME:TARGET   removes an empty folder and leaves a link
//   release-agent:PROGRAM:SIGN    mounts a cgroup v1 hierarchy and has the kernel run PROGRAM of
//                                 the host when a group of it is empty; waits for the file SIGN
//   overwrite-exe:FOLDER     waits for a process that runs another program than this one, keeps a
//                            descriptor of that program and writes to it as soon as it may; leaves
//                            the files `caught` and `outcome` in FOLDER
//   /released                what PROGRAM does then: leaves the file `released` beside itself
ProbeVerbs AttackVerbs();

}  // namespace catamaran
