#pragma once

#include <memory>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// As ChildTask::Start, for work that opens something: a path that may lead to a disk or a network
// that hangs, a mount. The descriptor comes to `done` in this process.
std::unique_ptr<ChildTask> StartDescriptorTask(EventLoop& loop,
                                               UniqueFunction<Result<UniqueFd>()> work,
                                               UniqueFunction<void(Result<UniqueFd>)> done);

}  // namespace catamaran
