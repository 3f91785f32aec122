#include "cri/translate/security_profile.h"

#include "cri/translate/fields.h"

namespace catamaran {

using runtime::v1::SecurityProfile;

namespace {

constexpr std::string_view kLocalhostPrefix = "localhost/";

}  // namespace

Status CheckSecurityProfile(const std::string& field, const SecurityProfile& profile) {
  if (!SecurityProfile::ProfileType_IsValid(profile.profile_type())) {
    return WrongField(field + ".profile_type", static_cast<int64_t>(profile.profile_type()),
                      "RuntimeDefault, Unconfined or Localhost");
  }
  const bool localhost = profile.profile_type() == SecurityProfile::Localhost;
  if (localhost == profile.localhost_ref().empty()) {
    return WrongField(field + ".localhost_ref", profile.localhost_ref(),
                      localhost ? "the profile's name" : "empty unless profile_type is Localhost");
  }
  return {};
}

Result<SecurityProfile> ProfileFromDeprecated(const std::string& field, const std::string& text) {
  SecurityProfile profile;
  if (text == "runtime/default" || text == "docker/default") {
    profile.set_profile_type(SecurityProfile::RuntimeDefault);
  } else if (text == "unconfined" || text.empty()) {
    profile.set_profile_type(SecurityProfile::Unconfined);
  } else if (text.starts_with(kLocalhostPrefix)) {
    profile.set_profile_type(SecurityProfile::Localhost);
    profile.set_localhost_ref(text.substr(kLocalhostPrefix.size()));
  } else {
    return WrongField(field, text, "runtime/default, unconfined or localhost/ and a profile");
  }
  return profile;
}

std::string WithoutLocalhostPrefix(const std::string& reference) {
  return reference.starts_with(kLocalhostPrefix) ? reference.substr(kLocalhostPrefix.size())
                                                 : reference;
}

}  // namespace catamaran
