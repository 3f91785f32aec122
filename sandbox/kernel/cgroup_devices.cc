#include "sandbox/kernel/cgroup_devices.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "sandbox/base/unique_fd.h"

namespace catamaran {
namespace {

constexpr size_t kMostRules = 1000;
constexpr char kProgramName[] = "catamaran_dev";  // at most 15 characters

int Bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

// Registers of the program, after it has unpacked struct bpf_cgroup_dev_ctx.
enum Register : uint8_t {
  kResult = 0,
  kContext = 1,
  kType = 2,
  kAccess = 3,
  kMajor = 4,
  kMinor = 5
};

bpf_insn Load(uint8_t to, size_t offset) {
  return {BPF_LDX | BPF_MEM | BPF_W, to, kContext, static_cast<int16_t>(offset), 0};
}
bpf_insn Compute(uint8_t operation, uint8_t on, int32_t value) {
  return {static_cast<uint8_t>(BPF_ALU | operation | BPF_K), on, 0, 0, value};
}
bpf_insn Copy(uint8_t to, uint8_t from) { return {BPF_ALU | BPF_MOV | BPF_X, to, from, 0, 0}; }
bpf_insn JumpUnlessEqual(uint8_t on, uint32_t value) {
  return {BPF_JMP32 | BPF_JNE | BPF_K, on, 0, 0, static_cast<int32_t>(value)};
}
bpf_insn Exit() { return {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}; }

int AccessMask(const DeviceRule& rule) {
  return (rule.read ? BPF_DEVCG_ACC_READ : 0) | (rule.write ? BPF_DEVCG_ACC_WRITE : 0) |
         (rule.make_node ? BPF_DEVCG_ACC_MKNOD : 0);
}

// False where the rule covers every access: nothing after it is ever reached, and the kernel
// refuses programs with unreachable parts.
bool AppendRule(const DeviceRule& rule, std::vector<bpf_insn>& program) {
  std::vector<size_t> jumps;  // to the next rule
  const auto jump_unless = [&](uint8_t on, uint32_t value) {
    jumps.push_back(program.size());
    program.push_back(JumpUnlessEqual(on, value));
  };
  if (rule.type != DeviceRule::Type::kAll)
    jump_unless(kType,
                rule.type == DeviceRule::Type::kBlock ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  constexpr int kEveryAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;
  if (AccessMask(rule) != kEveryAccess) {
    program.push_back(Copy(kResult, kAccess));
    program.push_back(Compute(BPF_AND, kResult, ~AccessMask(rule)));
    jump_unless(kResult, 0);
  }
  if (rule.major) jump_unless(kMajor, *rule.major);
  if (rule.minor) jump_unless(kMinor, *rule.minor);
  program.push_back(Compute(BPF_MOV, kResult, 1));
  program.push_back(Exit());
  for (const size_t jump : jumps)
    program[jump].off = static_cast<int16_t>(program.size() - jump - 1);
  return !jumps.empty();
}

// The program that an earlier AttachDeviceProgram left on the group; an invalid descriptor if none.
Result<UniqueFd> FindAttached(int cgroup_fd) {
  std::array<uint32_t, 64> ids{};
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(cgroup_fd);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  query.query.prog_cnt = ids.size();
  if (Bpf(BPF_PROG_QUERY, query) != 0) return FailWithErrno("list device programs of the cgroup");
  for (uint32_t i = 0; i < query.query.prog_cnt; ++i) {
    bpf_attr by_id{};
    by_id.prog_id = ids[i];
    UniqueFd program(Bpf(BPF_PROG_GET_FD_BY_ID, by_id));
    if (!program.valid()) continue;
    bpf_prog_info description{};
    bpf_attr info{};
    info.info.bpf_fd = static_cast<uint32_t>(program.get());
    info.info.info = reinterpret_cast<uint64_t>(&description);
    info.info.info_len = sizeof description;
    if (Bpf(BPF_OBJ_GET_INFO_BY_FD, info) == 0 &&
        strncmp(description.name, kProgramName, sizeof description.name) == 0)
      return program;
  }
  return UniqueFd();
}

Result<UniqueFd> LoadProgram(const std::vector<bpf_insn>& program) {
  static constexpr char kLicense[] = "Apache-2.0";
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<uint64_t>(program.data());
  load.insn_cnt = static_cast<uint32_t>(program.size());
  load.license = reinterpret_cast<uint64_t>(kLicense);
  memcpy(load.prog_name, kProgramName, sizeof kProgramName);
  UniqueFd loaded(Bpf(BPF_PROG_LOAD, load));
  if (!loaded.valid()) return FailWithErrno("load the device program");
  return loaded;
}

}  // namespace

std::vector<DeviceRule> DefaultDeviceRules() {
  using Type = DeviceRule::Type;
  std::vector<DeviceRule> rules = {{Type::kCharacter, {}, {}, false, false, true},
                                   {Type::kBlock, {}, {}, false, false, true}};
  // null, zero, full, random, urandom; tty, console, ptmx (Documentation/admin-guide/devices.txt).
  constexpr std::pair<uint32_t, uint32_t> kNumbers[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8},
                                                        {1, 9}, {5, 0}, {5, 1}, {5, 2}};
  for (const auto& [major, minor] : kNumbers)
    rules.push_back({Type::kCharacter, major, minor, true, true, true});
  rules.push_back({Type::kCharacter, 136, {}, true, true, true});  // pseudo-terminals
  return rules;
}

std::string DeviceRuleText(const DeviceRule& rule) {
  const char type = rule.type == DeviceRule::Type::kAll     ? 'a'
                    : rule.type == DeviceRule::Type::kBlock ? 'b'
                                                            : 'c';
  const auto number = [](const std::optional<uint32_t>& value) {
    return value ? std::to_string(*value) : std::string("*");
  };
  return fmt::format("{} {}:{} {}{}{}", type, number(rule.major), number(rule.minor),
                     rule.read ? "r" : "", rule.write ? "w" : "", rule.make_node ? "m" : "");
}

Result<std::vector<bpf_insn>> CompileDeviceProgram(const std::vector<DeviceRule>& allowed) {
  if (allowed.size() > kMostRules)
    return Fail(ErrorCode::kInvalidArgument, "devices: {} rules, at most {} are possible",
                allowed.size(), kMostRules);
  // access_type holds the access in its upper half and the type in its lower.
  std::vector<bpf_insn> program = {
      Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      Copy(kAccess, kType),
      Compute(BPF_AND, kType, 0xffff),
      Compute(BPF_RSH, kAccess, 16),
      Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (const auto& rule : allowed)
    if (!AppendRule(rule, program)) return program;
  program.push_back(Compute(BPF_MOV, kResult, 0));
  program.push_back(Exit());
  return program;
}

Status AttachDeviceProgram(int cgroup_fd, const std::vector<bpf_insn>& program) {
  ASSIGN_OR_RETURN(const auto loaded, LoadProgram(program));
  ASSIGN_OR_RETURN(const auto before, FindAttached(cgroup_fd));
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(cgroup_fd);
  attach.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  // Several programs may sit on a group and above it: all of them must allow an access.
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (before.valid()) {
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<uint32_t>(before.get());
  }
  if (Bpf(BPF_PROG_ATTACH, attach) != 0) return FailWithErrno("attach the device program");
  return {};
}

}  // namespace catamaran
