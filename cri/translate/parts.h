#pragma once

#include <string>

#include "cri/translate/translate.h"

namespace catamaran {

// The parts of TranslateSandbox and TranslateContainer, one subject and one file each.

inline bool IsVm(const HandlerConfig& handler) { return handler.hull == HandlerConfig::Hull::kVm; }

// Refuses, by name, every field that nothing behind the daemon honours.
Status RefuseUnsupported(const runtime::v1::PodSandboxConfig& config);
Status RefuseUnsupported(const runtime::v1::ContainerConfig& config);

// namespaces.cc
Status TranslateSandboxNamespaces(const runtime::v1::LinuxSandboxSecurityContext& context,
                                  const HandlerConfig& handler, spec::SandboxSpec* out);
Status TranslateContainerNamespaces(const runtime::v1::LinuxContainerSecurityContext& context,
                                    const spec::SandboxSpec& sandbox, spec::ContainerSpec* out);
// sysctls.cc
Status TranslateSysctls(const runtime::v1::LinuxPodSandboxConfig& config, spec::SandboxSpec* out);
// sandbox_files.cc: hostname, hosts, resolv.conf
Status TranslateSandboxFiles(const runtime::v1::PodSandboxConfig& config, const HostFacts& host,
                             spec::SandboxSpec* out);
// process.cc: args, env, cwd, user
Status TranslateProcess(const ContainerInput& input, spec::ProcessSpec* out);
// apparmor.cc: the profile's name; empty: none
Result<std::string> TranslateAppArmor(const ContainerInput& input);
// security.cc: capabilities, seccomp, AppArmor, SELinux, masked and read-only paths
Status TranslateSecurity(const ContainerInput& input, spec::ContainerSpec* out);
// A sandbox runs nothing itself: its own profiles are only checked, but for the label of the memory
// that its containers share.
Status TranslateSandboxSecurity(const runtime::v1::LinuxSandboxSecurityContext& context,
                                const HandlerConfig& handler, const HostFacts& host,
                                spec::SandboxSpec* out);
// Whether it says anything of a label.
bool AsksForALabel(const runtime::v1::SELinuxOption& option);
// mounts.cc
Status TranslateMounts(const ContainerInput& input, spec::ContainerSpec* out);
// devices.cc
Status TranslateDevices(const ContainerInput& input, spec::ContainerSpec* out);

}  // namespace catamaran
