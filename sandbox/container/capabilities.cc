#include "sandbox/container/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "sandbox/base/files.h"
#include "sandbox/kernel/capability_names.h"

namespace catamaran {
namespace {

constexpr int kMostCapabilities = 64;
constexpr std::string_view kPrefix = "CAP_";

Result<CapabilitySet> SetOf(const google::protobuf::RepeatedPtrField<std::string>& names) {
  CapabilitySet set;
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(const int number, CapabilityNumber(name));
    set.Add(number);
  }
  return set;
}

}  // namespace

Result<int> CapabilityNumber(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string_view word = upper;
  if (word.starts_with(kPrefix)) word.remove_prefix(kPrefix.size());
  const auto found = std::find(kCapabilityNames.begin(), kCapabilityNames.end(), word);
  if (found == kCapabilityNames.end())
    return Fail(ErrorCode::kInvalidArgument,
                "capability \"{}\": unknown; must be a name of capabilities(7) such as NET_RAW",
                name);
  return static_cast<int>(found - kCapabilityNames.begin());
}

std::string CapabilityName(int number) {
  if (number >= 0 && number < static_cast<int>(kCapabilityNames.size()))
    return std::string(kPrefix) + std::string(kCapabilityNames[number]);
  return fmt::format("{}{}", kPrefix, number);
}

std::vector<std::string> CapabilityNames(CapabilitySet set) {
  std::vector<std::string> names;
  for (int number = 0; number < kMostCapabilities; ++number)
    if (set.Has(number)) names.push_back(CapabilityName(number));
  return names;
}

Result<int> LastCapability() {
  ASSIGN_OR_RETURN(const auto text, ReadFile("/proc/sys/kernel/cap_last_cap", 16));
  int number = -1;
  std::from_chars(text.data(), text.data() + text.size(), number);
  if (number < 0 || number >= kMostCapabilities)
    return Fail(ErrorCode::kInternal, "cap_last_cap holds {}", text);
  return number;
}

Result<CapabilitySet> OwnBoundingSet() {
  ASSIGN_OR_RETURN(const int last, LastCapability());
  CapabilitySet set;
  for (int number = 0; number <= last; ++number)
    if (prctl(PR_CAPBSET_READ, number) == 1) set.Add(number);
  return set;
}

CapabilitySet DefaultCapabilities() {
  CapabilitySet set;
  for (const int number : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD,
                           CAP_NET_RAW, CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP,
                           CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE})
    set.Add(number);
  return set;
}

Result<CapabilitySet> ResolveCapabilities(const spec::Capabilities& capabilities,
                                          CapabilitySet available) {
  if (capabilities.all()) return available;
  ASSIGN_OR_RETURN(const auto wanted, SetOf(capabilities.bounding()));
  return wanted & available;
}

Result<CapabilitySet> ResolveAmbientCapabilities(const spec::Capabilities& capabilities,
                                                 CapabilitySet bounding) {
  ASSIGN_OR_RETURN(const auto wanted, SetOf(capabilities.ambient()));
  return wanted & bounding;
}

}  // namespace catamaran
