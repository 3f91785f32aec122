#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// Devices that a group may use. No number means every number.
struct DeviceRule {
  enum class Type { kAll, kCharacter, kBlock };
  Type type = Type::kAll;
  std::optional<uint32_t> major;
  std::optional<uint32_t> minor;
  bool read = false;
  bool write = false;
  bool make_node = false;

  static DeviceRule Everything() { return {Type::kAll, {}, {}, true, true, true}; }
  friend bool operator==(const DeviceRule&, const DeviceRule&) = default;
};

// What every container may use: making any node, null, zero, full, random, urandom, tty, ptmx,
// console and the pseudo-terminals.
std::vector<DeviceRule> DefaultDeviceRules();

// "c 1:3 rwm", as cgroup v1's devices.allow takes it
// (Documentation/admin-guide/cgroup-v1/devices.rst).
std::string DeviceRuleText(const DeviceRule& rule);

// The BPF_PROG_TYPE_CGROUP_DEVICE program that allows an access where one rule covers all of it,
// and refuses everything else. Bounded: kInvalidArgument for more than 1000 rules.
Result<std::vector<bpf_insn>> CompileDeviceProgram(const std::vector<DeviceRule>& allowed);
// Loads it and makes it the only program of ours on this cgroup v2 directory, replacing the one
// attached before without a moment in between.
Status AttachDeviceProgram(int cgroup_fd, const std::vector<bpf_insn>& program);

}  // namespace catamaran
