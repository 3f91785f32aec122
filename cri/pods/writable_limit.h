#pragma once

#include <cstdint>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What a container of the namespaces hull may write into its root file system at most, kept by the
// file system that the writable layers are on: project quotas of xfs or ext4 (quotactl(2)). Each
// container is a project of its own, with a number made of its id, so that it can be forgotten when
// nothing but the id is known. Beyond the limit a container gets EDQUOT; nobody else notices.

// Whether the file system of this folder keeps such limits; kFailedPrecondition saying what would.
Status CheckWritableLimits(const HostPath& folder);

// Limits what will be in this folder, which is empty still. kAlreadyExists where another project
// has the container's number, which is less likely than a broken disk.
Status SetWritableLimit(const HostPath& folder, const ContainerId& container, uint64_t bytes);

// Ends the limit of a container whose folder is gone or will be. `folder`: any of the same file
// system. Success where there is none.
Status ForgetWritableLimit(const HostPath& folder, const ContainerId& container);

}  // namespace catamaran
