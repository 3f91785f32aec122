#include "cri/translate/capabilities.h"

#include <algorithm>
#include <array>
#include <set>

#include "cri/translate/fields.h"
#include "sandbox/kernel/capability_names.h"

namespace catamaran {
namespace {

// What containerd and docker give, which images are built for.
constexpr std::array<std::string_view, 14> kDefaults = {
    "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
    "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
    "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
    "KILL",    "AUDIT_WRITE"};

std::string Upper(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(toupper(c)); });
  return name.starts_with("CAP_") ? name.substr(4) : name;
}

using Names = google::protobuf::RepeatedPtrField<std::string>;

bool HasAll(const Names& names) {
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return Upper(name) == "ALL"; });
}

template <typename Function>
Status ForEach(const Names& names, const std::string& field, Function function) {
  for (int i = 0; i < names.size(); ++i) {
    const std::string name = Upper(names[i]);
    if (name == "ALL") continue;
    if (std::find(kCapabilityNames.begin(), kCapabilityNames.end(), name) ==
        kCapabilityNames.end()) {
      return WrongField(fmt::format("{}[{}]", field, i), names[i],
                        "a capability of capabilities(7), such as NET_ADMIN, or ALL");
    }
    function("CAP_" + name);
  }
  return {};
}

}  // namespace

Result<spec::Capabilities> TranslateCapabilities(const runtime::v1::Capability& request,
                                                 const std::string& field) {
  std::set<std::string> names;
  const auto add_all = [&names](const auto& list) {
    for (const std::string_view name : list) names.insert("CAP_" + std::string(name));
  };
  add_all(kDefaults);
  if (HasAll(request.add_capabilities())) add_all(kCapabilityNames);
  if (HasAll(request.drop_capabilities())) names.clear();
  RETURN_IF_ERROR(ForEach(request.add_capabilities(), field + ".add_capabilities",
                          [&](const std::string& name) { names.insert(name); }));
  // KEP-2763: what is ambient is in all other sets too.
  std::set<std::string> ambient;
  if (HasAll(request.add_ambient_capabilities()))
    for (const std::string_view name : kCapabilityNames) ambient.insert("CAP_" + std::string(name));
  RETURN_IF_ERROR(ForEach(request.add_ambient_capabilities(), field + ".add_ambient_capabilities",
                          [&](const std::string& name) { ambient.insert(name); }));
  names.insert(ambient.begin(), ambient.end());
  RETURN_IF_ERROR(ForEach(request.drop_capabilities(), field + ".drop_capabilities",
                          [&](const std::string& name) {
                            names.erase(name);
                            ambient.erase(name);
                          }));
  spec::Capabilities out;
  for (const std::string& name : ambient) out.add_ambient(name);
  // "All" also means those that a newer kernel has and this table has not.
  if (names.size() == kCapabilityNames.size()) {
    out.set_all(true);
    return out;
  }
  for (const std::string& name : names) out.add_bounding(name);
  return out;
}

}  // namespace catamaran
