#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A procfs of our own that is attached nowhere, so nobody can put anything over its files. Every
// write to /proc that matters to security goes through it: a label or a sysctl written into a fake
// /proc is CVE-2019-16884 and CVE-2025-52881.
class ProcHandle {
 public:
  // Of the calling process's pid namespace; needs CAP_SYS_ADMIN.
  static Result<ProcHandle> OpenPrivate();

  // One that another process has opened so.
  static ProcHandle FromDescriptor(UniqueFd root) { return ProcHandle(std::move(root)); }
  int fd() const { return root_.get(); }

  // `path` is below /proc ("sys/net/ipv4/ip_forward", "thread-self/attr/exec").
  Status Write(const std::string& path, std::string_view value) const;

 private:
  explicit ProcHandle(UniqueFd root) : root_(std::move(root)) {}
  UniqueFd root_;
};

}  // namespace catamaran
