#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// A slice's place follows from its name (systemd.slice(5)): "a-b.slice" is in "a.slice", and
// "-.slice" is the root.

// "kubepods-burstable.slice" -> "/kubepods.slice/kubepods-burstable.slice". The name must be valid.
std::string PathOfSlice(const std::string& slice);

// The slice that a cgroup_parent means: "a-b.slice", "/a-b.slice", or the whole path
// "/a.slice/a-b.slice" as the kubelet's systemd driver gives it. kInvalidArgument where it is none,
// or where the path is not where systemd puts that slice; names `field`.
Result<std::string> SliceOfParent(const std::string& field, const std::string& parent);

}  // namespace catamaran
