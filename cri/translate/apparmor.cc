#include <algorithm>

#include "cri/translate/fields.h"
#include "cri/translate/parts.h"
#include "cri/translate/security_profile.h"

namespace catamaran {
namespace {

using runtime::v1::SecurityProfile;

const std::string kField = "config.linux.security_context.apparmor";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
const std::string& Deprecated(const runtime::v1::LinuxContainerSecurityContext& context) {
  return context.apparmor_profile();
}
#pragma GCC diagnostic pop

// A request without a word on it means the default profile, where there is one.
Result<SecurityProfile> Wanted(const ContainerInput& input) {
  const auto& context = input.config.linux().security_context();
  if (context.has_apparmor()) return context.apparmor();
  if (!Deprecated(context).empty())
    return ProfileFromDeprecated(kField + "_profile", Deprecated(context));
  SecurityProfile profile;
  const bool has_default =
      !IsVm(input.handler) && input.host.apparmor && input.host.apparmor_default;
  profile.set_profile_type(has_default ? SecurityProfile::RuntimeDefault
                                       : SecurityProfile::Unconfined);
  return profile;
}

}  // namespace

Result<std::string> TranslateAppArmor(const ContainerInput& input) {
  ASSIGN_OR_RETURN(const SecurityProfile profile, Wanted(input));
  RETURN_IF_ERROR(CheckSecurityProfile(kField, profile));
  if (profile.profile_type() == SecurityProfile::Unconfined) return std::string();
  const std::string wanted = SecurityProfile::ProfileType_Name(profile.profile_type());
  if (IsVm(input.handler))
    return WrongField(kField, wanted, "Unconfined: the guest's kernel has no AppArmor");
  if (!input.host.apparmor)
    return WrongField(kField, wanted, "Unconfined: this host has no AppArmor");
  if (profile.profile_type() == SecurityProfile::RuntimeDefault) {
    if (!input.host.apparmor_default)
      return WrongField(kField, wanted,
                        "Unconfined or Localhost: this host has no apparmor_parser to load the "
                        "default profile with");
    return std::string(kDefaultAppArmorProfile);
  }
  const std::string name = WithoutLocalhostPrefix(profile.localhost_ref());
  const auto& loaded = input.host.apparmor_profiles;
  if (std::find(loaded.begin(), loaded.end(), name) == loaded.end())
    return WrongField(kField + ".localhost_ref", profile.localhost_ref(),
                      "a profile that is loaded on this host");
  return name;
}

}  // namespace catamaran
