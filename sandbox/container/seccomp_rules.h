#pragma once

#include <seccomp.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/container/seccomp.h"

// What both kinds of profile become before libseccomp compiles it. Internal to sandbox/container.
namespace catamaran {

struct SeccompRule {
  std::vector<std::string> names;  // those that libseccomp does not know are skipped
  uint32_t action = SCMP_ACT_ALLOW;
  std::vector<scmp_arg_cmp> arguments;  // all must hold
};

struct SeccompRules {
  uint32_t default_action = SCMP_ACT_ERRNO(1);
  std::vector<uint32_t> architectures;  // SCMP_ARCH_*; the native one is always there
  std::vector<SeccompRule> rules;
  uint32_t flags = 0;  // SECCOMP_FILTER_FLAG_*
};

SeccompRules DefaultSeccompRules(CapabilitySet capabilities);
// Those on which the default profile depends.
CapabilitySet CapabilitiesOfDefaultProfile(CapabilitySet capabilities);
// The native architecture and those whose programs the same kernel runs.
std::vector<uint32_t> NativeArchitectures();

Result<SeccompRules> ParseSeccompJson(const std::string& json, CapabilitySet capabilities);

Result<SeccompProgram> CompileRules(const SeccompRules& rules);

}  // namespace catamaran
