#pragma once

#include <vector>

#include "sandbox/container/plan.h"

namespace catamaran {

// The mounts of a container in the order in which they are made: our own (proc, /dev, /sys, the
// sandbox's files) and the request's, shallow before deep, the request's instead of ours where both
// want the same path.
Result<std::vector<PlannedMount>> PlanMounts(const PlanInput& input);

// Where the engine keeps the content of SandboxSpec.files[index].
std::string SandboxFilePath(const spec::SandboxSpec& sandbox, int index);

// Whether `path` is `folder` or lies below it; both absolute and normal.
bool IsAtOrBelow(std::string_view path, std::string_view folder);

// Absolute, without "..", "." and doubled slashes; kInvalidArgument names the field.
Result<std::string> NormalContainerPath(const std::string& path, const std::string& field);

}  // namespace catamaran
