#include <algorithm>
#include <nlohmann/json.hpp>

#include "cri/base/text.h"
#include "cri/translate/capabilities.h"
#include "cri/translate/fields.h"
#include "cri/translate/parts.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using runtime::v1::SecurityProfile;

constexpr size_t kLargestProfile = 4 << 20;
constexpr std::string_view kLocalhostPrefix = "localhost/";
const std::string kContext = "config.linux.security_context.";

Status CheckProfile(const std::string& field, const SecurityProfile& profile) {
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

// The strings that SecurityProfile has replaced: "runtime/default", "unconfined", "localhost/x".
Result<SecurityProfile> FromDeprecated(const std::string& field, const std::string& text) {
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

// Read all the same: older kubelets still send them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
const std::string& DeprecatedSeccomp(const runtime::v1::LinuxContainerSecurityContext& context) {
  return context.seccomp_profile_path();
}
const std::string& DeprecatedAppArmor(const runtime::v1::LinuxContainerSecurityContext& context) {
  return context.apparmor_profile();
}
#pragma GCC diagnostic pop

std::string WithoutPrefix(const std::string& reference) {
  return reference.starts_with(kLocalhostPrefix) ? reference.substr(kLocalhostPrefix.size())
                                                 : reference;
}

Result<std::string> ReadSeccompProfile(const std::string& field, const std::string& localhost_ref) {
  const std::string reference = WithoutPrefix(localhost_ref);
  ASSIGN_OR_RETURN(const std::string path, CheckAbsolutePath(field, reference));
  auto content = ReadFile(path, kLargestProfile);
  if (!content) {
    return WrongField(field, reference,
                      "a readable profile of at most 4 MiB: " + content.error().message);
  }
  const auto json = nlohmann::json::parse(*content, nullptr, false);
  if (!json.is_object()) return WrongField(field, reference, "a file that holds a JSON object");
  return std::move(*content);
}

Status TranslateSeccomp(const runtime::v1::LinuxContainerSecurityContext& context,
                        spec::SeccompProfile* out) {
  SecurityProfile profile = context.seccomp();
  if (!context.has_seccomp()) {  // no profile is none, as the interface's tests expect
    ASSIGN_OR_RETURN(profile,
                     FromDeprecated(kContext + "seccomp_profile_path", DeprecatedSeccomp(context)));
  }
  RETURN_IF_ERROR(CheckProfile(kContext + "seccomp", profile));
  if (profile.profile_type() == SecurityProfile::RuntimeDefault) {
    out->set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
  } else if (profile.profile_type() == SecurityProfile::Localhost) {
    out->set_kind(spec::SeccompProfile::LOCALHOST);
    ASSIGN_OR_RETURN(
        *out->mutable_profile_json(),
        ReadSeccompProfile(kContext + "seccomp.localhost_ref", profile.localhost_ref()));
  }
  return {};
}

Status TranslateAppArmor(const ContainerInput& input, spec::ProcessSpec* out) {
  const auto& context = input.config.linux().security_context();
  const std::string field = kContext + "apparmor";
  SecurityProfile profile = context.apparmor();
  if (!context.has_apparmor()) {
    ASSIGN_OR_RETURN(profile,
                     FromDeprecated(kContext + "apparmor_profile", DeprecatedAppArmor(context)));
  }
  RETURN_IF_ERROR(CheckProfile(field, profile));
  if (profile.profile_type() == SecurityProfile::Unconfined) return {};
  const std::string wanted = SecurityProfile::ProfileType_Name(profile.profile_type());
  if (IsVm(input.handler)) {
    return WrongField(field, wanted, "Unconfined: the guest's kernel has no AppArmor");
  }
  if (!input.host.apparmor) {
    return WrongField(field, wanted, "Unconfined: this host has no AppArmor");
  }
  if (profile.profile_type() == SecurityProfile::RuntimeDefault) {
    return UnsupportedField(field, "there is no default profile; name a loaded one by Localhost");
  }
  const auto& loaded = input.host.apparmor_profiles;
  if (std::find(loaded.begin(), loaded.end(), profile.localhost_ref()) == loaded.end()) {
    return WrongField(field + ".localhost_ref", profile.localhost_ref(),
                      "a profile that is loaded on this host");
  }
  out->set_apparmor_profile(profile.localhost_ref());
  return {};
}

Result<std::string> SelinuxLabel(const runtime::v1::SELinuxOption& option, bool available,
                                 const char* without) {
  const std::string label =
      fmt::format("{}:{}:{}:{}", option.user(), option.role(), option.type(), option.level());
  if (label == ":::") return std::string();
  if (!available) return WrongField(kContext + "selinux_options", label, without);
  if (HasControlCharacters(label) || option.user().empty() || option.role().empty() ||
      option.type().empty()) {
    return WrongField(kContext + "selinux_options", label, "user, role and type, and a level");
  }
  return option.level().empty() ? label.substr(0, label.size() - 1) : label;
}

template <typename Add>
Status TranslatePaths(const std::string& name,
                      const google::protobuf::RepeatedPtrField<std::string>& paths, Add add) {
  for (int i = 0; i < paths.size(); ++i) {
    ASSIGN_OR_RETURN(const std::string path,
                     CheckAbsolutePath(fmt::format("{}{}[{}]", kContext, name, i), paths[i]));
    add(path);
  }
  return {};
}

// Privileged: everything the engine has, and nothing in the way.
Status TranslatePrivileged(const ContainerInput& input, spec::ContainerSpec* out) {
  if (!input.sandbox.privileged()) {
    return WrongField(kContext + "privileged", "true", "false in a sandbox that is not privileged");
  }
  out->set_privileged(true);
  out->set_all_devices(true);
  out->mutable_process()->mutable_capabilities()->set_all(true);
  return {};
}

}  // namespace

Status TranslateSecurity(const ContainerInput& input, spec::ContainerSpec* out) {
  const auto& context = input.config.linux().security_context();
  out->mutable_rootfs()->set_readonly(context.readonly_rootfs());
  // Checked whether they apply or not: a wrong request is wrong in a privileged container too.
  ASSIGN_OR_RETURN(const auto capabilities,
                   TranslateCapabilities(context.capabilities(), kContext + "capabilities"));
  spec::SeccompProfile seccomp;
  RETURN_IF_ERROR(TranslateSeccomp(context, &seccomp));
  spec::ProcessSpec labels;
  RETURN_IF_ERROR(TranslateAppArmor(input, &labels));
  ASSIGN_OR_RETURN(
      const std::string selinux,
      SelinuxLabel(context.selinux_options(), input.host.selinux && !IsVm(input.handler),
                   "absent: there is no SELinux where this container runs"));
  RETURN_IF_ERROR(TranslatePaths("masked_paths", context.masked_paths(),
                                 [&](const std::string& path) { out->add_masked_paths(path); }));
  RETURN_IF_ERROR(TranslatePaths("readonly_paths", context.readonly_paths(),
                                 [&](const std::string& path) { out->add_readonly_paths(path); }));
  if (context.privileged()) {
    out->clear_masked_paths();
    out->clear_readonly_paths();
    return TranslatePrivileged(input, out);
  }
  *out->mutable_process()->mutable_capabilities() = capabilities;
  *out->mutable_process()->mutable_seccomp() = seccomp;
  out->mutable_process()->set_apparmor_profile(labels.apparmor_profile());
  out->mutable_process()->set_selinux_label(selinux);
  return {};
}

Status CheckSandboxSecurity(const runtime::v1::LinuxSandboxSecurityContext& context,
                            const HostFacts& host) {
  if (context.has_run_as_group() && !context.has_run_as_user()) {
    return WrongField(kContext + "run_as_group", context.run_as_group().value(),
                      "absent without run_as_user");
  }
  RETURN_IF_ERROR(CheckUserOrGroupId(kContext + "run_as_user", context.run_as_user().value()));
  RETURN_IF_ERROR(CheckUserOrGroupId(kContext + "run_as_group", context.run_as_group().value()));
  for (int i = 0; i < context.supplemental_groups_size(); ++i) {
    RETURN_IF_ERROR(CheckUserOrGroupId(fmt::format("{}supplemental_groups[{}]", kContext, i),
                                       context.supplemental_groups(i)));
  }
  if (context.has_seccomp()) {
    RETURN_IF_ERROR(CheckProfile(kContext + "seccomp", context.seccomp()));
    if (!context.seccomp().localhost_ref().empty()) {
      RETURN_IF_ERROR(CheckAbsolutePath(kContext + "seccomp.localhost_ref",
                                        WithoutPrefix(context.seccomp().localhost_ref())));
    }
  }
  if (context.has_apparmor()) {
    RETURN_IF_ERROR(CheckProfile(kContext + "apparmor", context.apparmor()));
  }
  RETURN_IF_ERROR(
      SelinuxLabel(context.selinux_options(), host.selinux, "absent: this host has no SELinux"));
  return {};
}

}  // namespace catamaran
