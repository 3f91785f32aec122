#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sandbox/base/result.h"

namespace catamaran {

// The largest request a guest may send: one write of kMaxFuseTransfer bytes with its header.
inline constexpr size_t kMaxFuseTransfer = 1 << 20;
inline constexpr size_t kMaxFuseRequest = kMaxFuseTransfer + 4096;

// Checks one whole FUSE request (header included) before libfuse sees it. libfuse trusts the kernel
// on the other side: it reads sizes and NUL-terminated names out of the message without looking
// where the message ends. Here that kernel is a guest's, and hostile: a request passes only if
// every field, name and payload lies inside it, names are single path components, and sizes that
// the server would allocate are bounded. See linux/fuse.h for the layouts.
//
// Error: kInvalidArgument for a malformed request (answered with EIO), kUnimplemented for an
// operation that is not served (ENOSYS).
Status CheckFuseRequest(std::span<const std::byte> request);

// Whether the operation is one that gets no answer (FORGET, BATCH_FORGET, INTERRUPT, DESTROY).
bool FuseRequestHasReply(uint32_t opcode);

}  // namespace catamaran
