#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A compiled filter: what seccomp(2) takes. Empty means unconfined.
struct SeccompProgram {
  std::vector<sock_filter> filter;
  uint32_t flags = 0;  // SECCOMP_FILTER_FLAG_*

  bool empty() const { return filter.empty(); }
};

// Compiles a profile for a process that gets these capabilities (the default profile allows some
// system calls by capability). Called in the parent. The default profile for the default
// capabilities, or fewer, is ready; others take some 15 ms once and are kept. Thread-safe.
// kInvalidArgument names what in the profile is wrong.
Result<std::shared_ptr<const SeccompProgram>> CompileSeccomp(const spec::SeccompProfile& profile,
                                                             CapabilitySet capabilities);

// In the child: one system call. Needs no_new_privs or CAP_SYS_ADMIN in its user namespace.
Status InstallSeccomp(const SeccompProgram& program);

// For the two kinds of profile, without the cache.
//
// RuntimeDefault: docker's and containerd's default profile.
Result<SeccompProgram> CompileDefaultProfile(CapabilitySet capabilities);
// Localhost: a profile in the format of the OCI runtime specification ("linux.seccomp") or of
// docker's (archMap, includes and excludes). Unknown system call names are skipped; a profile that
// asks for a notification listener is kInvalidArgument.
Result<SeccompProgram> CompileJsonProfile(const std::string& json, CapabilitySet capabilities);

}  // namespace catamaran
