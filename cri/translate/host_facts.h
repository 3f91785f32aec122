#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What the translation of requests needs to know of this host, read once per request so that
// changes of the host's files are seen. A value: tests make their own.
struct HostFacts {
  std::string hostname;
  std::string resolv_conf;  // content of the host's file
  std::string hosts;
  bool apparmor = false;                       // the kernel enforces AppArmor
  std::vector<std::string> apparmor_profiles;  // names of the loaded ones
  bool apparmor_default = false;               // the runtime's default profile is one, or can be
  bool selinux = false;
  // What the host's policy gives to containers, "system_u:system_r:container_t:s0", and to their
  // files, "system_u:object_r:container_file_t:s0".
  std::string selinux_process_label, selinux_file_label;
  std::vector<std::string> hugepage_sizes;  // "2MB", "1GB"
  uint32_t cpus = 1;                        // highest possible CPU number + 1

  static Result<HostFacts> Read();
};

// The AppArmor profile of containers that ask for the runtime's default one; see cri/apparmor.
inline constexpr std::string_view kDefaultAppArmorProfile = "catamaran-default";

// Where apparmor_parser(8) is looked for.
std::vector<HostPath> AppArmorParsers();
// Names in the kernel's list of loaded profiles; none where it cannot be read.
std::vector<std::string> ReadAppArmorProfiles(const HostPath& list);
// What the policy below /etc/selinux says of containers' "process" or "file"; empty: nothing.
std::string ReadSelinuxLabel(const HostPath& folder, std::string_view of);

}  // namespace catamaran
