#include <fmt/ranges.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cri/base/text.h"
#include "cri/translate/capabilities.h"
#include "cri/translate/fields.h"
#include "cri/translate/parts.h"
#include "cri/translate/security_profile.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using runtime::v1::SecurityProfile;

constexpr size_t kLargestProfile = 4 << 20;
const std::string kContext = "config.linux.security_context.";

// Read all the same: older kubelets still send them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
const std::string& DeprecatedSeccomp(const runtime::v1::LinuxContainerSecurityContext& context) {
  return context.seccomp_profile_path();
}
#pragma GCC diagnostic pop

Result<std::string> ReadSeccompProfile(const std::string& field, const std::string& localhost_ref) {
  const std::string reference = WithoutLocalhostPrefix(localhost_ref);
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
    ASSIGN_OR_RETURN(profile, ProfileFromDeprecated(kContext + "seccomp_profile_path",
                                                    DeprecatedSeccomp(context)));
  }
  RETURN_IF_ERROR(CheckSecurityProfile(kContext + "seccomp", profile));
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

// user, role, type and level of an SELinux label.
using LabelParts = std::array<std::string, 4>;

// A level may hold ':' itself.
LabelParts PartsOf(const std::string& label) {
  LabelParts parts;
  std::istringstream stream(label);
  for (size_t i = 0; i < 3; ++i) std::getline(stream, parts[i], ':');
  std::getline(stream, parts[3]);
  return parts;
}

// A policy without levels has labels of three parts.
std::string LabelOf(const LabelParts& parts) {
  return fmt::format("{}", fmt::join(parts.begin(), parts.end() - (parts[3].empty() ? 1 : 0), ":"));
}

// What is left out is what the host gives to containers: a level alone is what most pods ask for.
Result<std::string> SelinuxLabel(const runtime::v1::SELinuxOption& option, const HostFacts& host,
                                 bool available, const char* without) {
  if (!AsksForALabel(option)) return std::string();
  LabelParts parts{option.user(), option.role(), option.type(), option.level()};
  const std::string label = fmt::format("{}", fmt::join(parts, ":"));
  // A level alone confines nothing: it keeps pods apart where SELinux does. Pods that are to run on
  // either kind of host ask for one, those of Kubernetes' conformance tests too.
  const bool confines = !(option.user().empty() && option.role().empty() && option.type().empty());
  if (!available && !confines && !HasControlCharacters(label)) return std::string();
  if (!available) return WrongField(kContext + "selinux_options", label, without);
  if (HasControlCharacters(label) || PartsOf(label) != parts)
    return WrongField(kContext + "selinux_options", label,
                      "a user, a role and a type without ':', and a level");
  const LabelParts usual = PartsOf(host.selinux_process_label);
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i].empty()) parts[i] = usual[i];
  return LabelOf(parts);
}

// The label of files that go with a process's: the host's for containers, at the process's level,
// so that the pods' files are apart as their processes are.
std::string FilesLabel(const runtime::v1::SELinuxOption& option, const HostFacts& host) {
  if (option.level().empty()) return host.selinux_file_label;
  LabelParts parts = PartsOf(host.selinux_file_label);
  parts[3] = option.level();
  return LabelOf(parts);
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
Status TranslatePrivileged(const ContainerInput& input,
                           const google::protobuf::RepeatedPtrField<std::string>& ambient,
                           spec::ContainerSpec* out) {
  if (!input.sandbox.privileged()) {
    return WrongField(kContext + "privileged", "true", "false in a sandbox that is not privileged");
  }
  out->set_privileged(true);
  out->set_all_devices(true);
  out->mutable_process()->mutable_capabilities()->set_all(true);
  *out->mutable_process()->mutable_capabilities()->mutable_ambient() = ambient;
  return {};
}

}  // namespace

bool AsksForALabel(const runtime::v1::SELinuxOption& option) {
  return !(option.user().empty() && option.role().empty() && option.type().empty() &&
           option.level().empty());
}

Status TranslateSecurity(const ContainerInput& input, spec::ContainerSpec* out) {
  const auto& context = input.config.linux().security_context();
  out->mutable_rootfs()->set_readonly(context.readonly_rootfs());
  // Checked whether they apply or not: a wrong request is wrong in a privileged container too.
  ASSIGN_OR_RETURN(const auto capabilities,
                   TranslateCapabilities(context.capabilities(), kContext + "capabilities"));
  spec::SeccompProfile seccomp;
  RETURN_IF_ERROR(TranslateSeccomp(context, &seccomp));
  ASSIGN_OR_RETURN(const std::string apparmor, TranslateAppArmor(input));
  ASSIGN_OR_RETURN(const std::string selinux,
                   SelinuxLabel(context.selinux_options(), input.host,
                                input.host.selinux && !IsVm(input.handler),
                                "absent: there is no SELinux where this container runs"));
  RETURN_IF_ERROR(TranslatePaths("masked_paths", context.masked_paths(),
                                 [&](const std::string& path) { out->add_masked_paths(path); }));
  RETURN_IF_ERROR(TranslatePaths("readonly_paths", context.readonly_paths(),
                                 [&](const std::string& path) { out->add_readonly_paths(path); }));
  if (context.privileged()) {
    out->clear_masked_paths();
    out->clear_readonly_paths();
    return TranslatePrivileged(input, capabilities.ambient(), out);
  }
  *out->mutable_process()->mutable_capabilities() = capabilities;
  *out->mutable_process()->mutable_seccomp() = seccomp;
  out->mutable_process()->set_apparmor_profile(apparmor);
  out->mutable_process()->set_selinux_label(selinux);
  if (!selinux.empty()) out->set_mount_label(FilesLabel(context.selinux_options(), input.host));
  return {};
}

Status TranslateSandboxSecurity(const runtime::v1::LinuxSandboxSecurityContext& context,
                                const HandlerConfig& handler, const HostFacts& host,
                                spec::SandboxSpec* out) {
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
    RETURN_IF_ERROR(CheckSecurityProfile(kContext + "seccomp", context.seccomp()));
    if (!context.seccomp().localhost_ref().empty()) {
      RETURN_IF_ERROR(CheckAbsolutePath(kContext + "seccomp.localhost_ref",
                                        WithoutLocalhostPrefix(context.seccomp().localhost_ref())));
    }
  }
  if (context.has_apparmor()) {
    RETURN_IF_ERROR(CheckSecurityProfile(kContext + "apparmor", context.apparmor()));
  }
  ASSIGN_OR_RETURN(const std::string selinux,
                   SelinuxLabel(context.selinux_options(), host, host.selinux,
                                "absent: this host has no SELinux"));
  if (!selinux.empty() && !IsVm(handler))
    out->set_mount_label(FilesLabel(context.selinux_options(), host));
  return {};
}

}  // namespace catamaran
