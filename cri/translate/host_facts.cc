#include "cri/translate/host_facts.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <sstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/security_modules.h"

namespace catamaran {
namespace {

// "hugepages-2048kB" -> "2MB", as cgroup files spell it.
std::string HugepageSize(std::string_view folder) {
  constexpr std::string_view kPrefix = "hugepages-";
  uint64_t kib = 0;
  if (!folder.starts_with(kPrefix)) return "";
  folder.remove_prefix(kPrefix.size());
  std::from_chars(folder.data(), folder.data() + folder.size(), kib);
  if (kib >= 1 << 20) return fmt::format("{}GB", kib >> 20);
  if (kib >= 1 << 10) return fmt::format("{}MB", kib >> 10);
  return kib == 0 ? "" : fmt::format("{}KB", kib);
}

// "0-3,8-11" -> 12.
uint32_t OneAfterLast(const std::string& list) {
  const size_t at = list.find_last_of(",-");
  const char* begin = list.data() + (at == std::string::npos ? 0 : at + 1);
  uint32_t last = 0;
  std::from_chars(begin, list.data() + list.size(), last);
  return last + 1;
}

// Lines are "name (mode)".
std::vector<std::string> ProfileNames(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const size_t end = line.rfind(" (");
    names.push_back(line.substr(0, end));
  }
  return names;
}

}  // namespace

Result<HostFacts> HostFacts::Read() {
  HostFacts facts;
  char name[HOST_NAME_MAX + 1] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return FailWithErrno("gethostname");
  facts.hostname = name;
  facts.resolv_conf = ReadFile("/etc/resolv.conf", 1 << 20).value_or("");
  facts.hosts = ReadFile("/etc/hosts", 1 << 20).value_or("");
  facts.apparmor = KernelHasAppArmor();
  if (facts.apparmor) {
    const auto profiles = ReadFile("/sys/kernel/security/apparmor/profiles");
    facts.apparmor_profiles = ProfileNames(profiles.value_or(""));
  }
  facts.selinux = KernelHasSelinux();
  const auto sizes = ListDirectory("/sys/kernel/mm/hugepages");
  for (const std::string& folder : sizes.value_or(std::vector<std::string>())) {
    if (std::string size = HugepageSize(folder); !size.empty()) {
      facts.hugepage_sizes.push_back(std::move(size));
    }
  }
  ASSIGN_OR_RETURN(const std::string possible, ReadFile("/sys/devices/system/cpu/possible"));
  facts.cpus = OneAfterLast(possible);
  return facts;
}

}  // namespace catamaran
