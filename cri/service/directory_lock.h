#pragma once

#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// One process per directory: a lock file in it, held as long as this lives and freed by the kernel
// however the process ends. The file says who holds it (a daemon writes the address it listens
// on), so that others can turn to the holder.
class DirectoryLock {
 public:
  // kFailedPrecondition naming the holder where somebody has it. A daemon (whose note is an
  // address) has it for good and is not waited for; others are, until the deadline.
  static Result<DirectoryLock> Take(const HostPath& directory, const std::string& note,
                                    Deadline deadline);
  // What the holder wrote; empty where it has not yet, or nobody ever held it.
  static Result<std::string> Holder(const HostPath& directory);

 private:
  explicit DirectoryLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace catamaran
