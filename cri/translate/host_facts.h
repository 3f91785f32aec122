#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// What the translation of requests needs to know of this host, read once per request so that
// changes of the host's files are seen. A value: tests make their own.
struct HostFacts {
  std::string hostname;
  std::string resolv_conf;  // content of the host's file
  std::string hosts;
  bool apparmor = false;                       // the kernel enforces AppArmor
  std::vector<std::string> apparmor_profiles;  // names of the loaded ones
  bool selinux = false;
  std::vector<std::string> hugepage_sizes;  // "2MB", "1GB"
  uint32_t cpus = 1;                        // highest possible CPU number + 1

  static Result<HostFacts> Read();
};

}  // namespace catamaran
