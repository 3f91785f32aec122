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

// The value of a line `key = "value"` of a file.
std::string ValueIn(const std::string& file, std::string_view key) {
  std::istringstream lines(ReadFile(file, 1 << 16).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == '=')
      return line.substr(key.size() + 1);
  }
  return "";
}

void ReadSelinux(HostFacts* facts) {
  facts->selinux = KernelHasSelinux();
  if (!facts->selinux) return;
  const HostPath folder("/etc/selinux");
  facts->selinux_process_label = ReadSelinuxLabel(folder, "process");
  if (facts->selinux_process_label.empty())
    facts->selinux_process_label = "system_u:system_r:container_t:s0";
  facts->selinux_file_label = ReadSelinuxLabel(folder, "file");
  if (facts->selinux_file_label.empty())
    facts->selinux_file_label = "system_u:object_r:container_file_t:s0";
}

}  // namespace

std::vector<HostPath> AppArmorParsers() {
  return {HostPath("/usr/sbin/apparmor_parser"), HostPath("/sbin/apparmor_parser")};
}

std::vector<std::string> ReadAppArmorProfiles(const HostPath& list) {
  std::vector<std::string> names;
  // Lines are "name (mode)".
  std::istringstream stream(ReadFile(list.value(), 1 << 20).value_or(""));
  for (std::string line; std::getline(stream, line);)
    names.push_back(line.substr(0, line.rfind(" (")));
  return names;
}

// selinux_config(5) names the policy, whose lxc_contexts has the labels.
std::string ReadSelinuxLabel(const HostPath& folder, std::string_view of) {
  std::string policy = ValueIn(folder.string() + "/config", "SELINUXTYPE");
  if (policy.empty() || policy.find('/') != std::string::npos) policy = "targeted";
  return ValueIn(folder.string() + "/" + policy + "/contexts/lxc_contexts", of);
}

Result<HostFacts> HostFacts::Read() {
  HostFacts facts;
  char name[HOST_NAME_MAX + 1] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return FailWithErrno("gethostname");
  facts.hostname = name;
  facts.resolv_conf = ReadFile("/etc/resolv.conf", 1 << 20).value_or("");
  facts.hosts = ReadFile("/etc/hosts", 1 << 20).value_or("");
  facts.apparmor = KernelHasAppArmor();
  if (facts.apparmor) {
    facts.apparmor_profiles =
        ReadAppArmorProfiles(HostPath("/sys/kernel/security/apparmor/profiles"));
    const auto& names = facts.apparmor_profiles;
    facts.apparmor_default =
        std::find(names.begin(), names.end(), kDefaultAppArmorProfile) != names.end();
    for (const HostPath& parser : AppArmorParsers())
      facts.apparmor_default = facts.apparmor_default || Exists(parser.value());
  }
  ReadSelinux(&facts);
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
