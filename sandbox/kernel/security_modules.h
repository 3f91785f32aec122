#pragma once

#include "sandbox/base/files.h"

namespace catamaran {

// Whether the running kernel has the security module switched on, so that a program can be given a
// label of it. Wherever this is asked the answer is the same: at the pod's translation, when its
// container is made, by the doctor.
inline bool KernelHasAppArmor() {
  return ReadFile("/sys/module/apparmor/parameters/enabled").value_or("").starts_with("Y");
}
inline bool KernelHasSelinux() { return Exists("/sys/fs/selinux/enforce"); }

}  // namespace catamaran
