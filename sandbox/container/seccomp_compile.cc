#include <linux/seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "sandbox/base/files.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/container/seccomp_rules.h"

// From rules to a program, by libseccomp. It takes about 15 ms for the default profile, most of it
// in the export: not on the path of every pod, see seccomp.cc.
namespace catamaran {
namespace {

constexpr int kHighestNumberTried = 1024;

struct FilterContext {
  explicit FilterContext(uint32_t default_action) : context(seccomp_init(default_action)) {}
  FilterContext(const FilterContext&) = delete;
  FilterContext& operator=(const FilterContext&) = delete;
  ~FilterContext() {
    if (context != nullptr) seccomp_release(context);
  }
  scmp_filter_ctx context;
};

Status AddRule(scmp_filter_ctx context, const SeccompRules& rules, const SeccompRule& rule) {
  if (rule.action == rules.default_action) return {};  // says nothing, and libseccomp refuses it
  for (const auto& name : rule.names) {
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    const int error =
        seccomp_rule_add_array(context, rule.action, number,
                               static_cast<unsigned>(rule.arguments.size()), rule.arguments.data());
    // EEXIST: the same rule twice.
    if (error != 0 && error != -EEXIST)
      return Fail(ErrorCode::kInvalidArgument, "seccomp profile: rule for {}: {}", name,
                  strerror(-error));
  }
  return {};
}

Result<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const UniqueFd memory(memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory.valid()) return FailWithErrno("memfd for the seccomp program");
  if (const int error = seccomp_export_bpf(context, memory.get()); error != 0)
    return FailErrno(-error, "export the seccomp program");
  if (lseek(memory.get(), 0, SEEK_SET) != 0) return FailWithErrno("rewind the seccomp program");
  ASSIGN_OR_RETURN(const auto bytes, ReadAll(memory.get(), BPF_MAXINSNS * sizeof(sock_filter)));
  std::vector<sock_filter> filter(bytes.size() / sizeof(sock_filter));
  memcpy(filter.data(), bytes.data(), filter.size() * sizeof(sock_filter));
  return filter;
}

// The highest system call number that libseccomp has a name for; 0 where it knows none.
uint32_t HighestKnownNumber(uint32_t architecture) {
  static std::mutex mutex;
  static std::map<uint32_t, uint32_t> known;
  const std::lock_guard lock(mutex);
  auto [entry, is_new] = known.try_emplace(architecture, 0);
  if (is_new)
    for (int number = 0; number < kHighestNumberTried; ++number)
      if (char* name = seccomp_syscall_resolve_num_arch(architecture, number); name != nullptr) {
        free(name);
        entry->second = static_cast<uint32_t>(number);
      }
  return entry->second;
}

// No profile can name a system call that is newer than libseccomp. Programs try new ones first and
// take ENOSYS, not EPERM, as the sign to use the old one: so these answer it, before the filter.
std::vector<sock_filter> NewerIsUnknown(const SeccompRules& rules) {
  const uint32_t denied = rules.default_action & SECCOMP_RET_ACTION_FULL;
  if (denied == SCMP_ACT_ALLOW || denied == (SCMP_ACT_TRACE(0) & SECCOMP_RET_ACTION_FULL) ||
      denied == SCMP_ACT_LOG)
    return {};
  std::vector<sock_filter> stub;
  for (const uint32_t architecture : rules.architectures) {
    // x32 shares its architecture word with x86_64: its numbers start at bit 30.
    if (architecture == SCMP_ARCH_X32) continue;
    const uint32_t highest = HighestKnownNumber(architecture);
    if (highest == 0) continue;
    constexpr uint32_t kX32Bit = 0x40000000;
    const sock_filter block[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, highest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38u),
    };
    stub.insert(stub.end(), std::begin(block), std::end(block));
  }
  return stub;
}

}  // namespace

Result<SeccompProgram> CompileRules(const SeccompRules& rules) {
  const FilterContext filter(rules.default_action);
  if (filter.context == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "seccomp profile: impossible default action");
  for (const uint32_t architecture : rules.architectures) {
    const int error = seccomp_arch_add(filter.context, architecture);
    if (error != 0 && error != -EEXIST)
      return Fail(ErrorCode::kInvalidArgument, "seccomp profile: architecture {:#x}: {}",
                  architecture, strerror(-error));
  }
  // A tree instead of a list: some hundred comparisons fewer for each system call.
  seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (const auto& rule : rules.rules) RETURN_IF_ERROR(AddRule(filter.context, rules, rule));
  ASSIGN_OR_RETURN(const auto compiled, Export(filter.context));
  SeccompProgram program;
  program.filter = NewerIsUnknown(rules);
  program.filter.insert(program.filter.end(), compiled.begin(), compiled.end());
  program.flags = rules.flags;
  if (program.filter.size() > BPF_MAXINSNS)
    return Fail(ErrorCode::kInvalidArgument,
                "seccomp profile: {} instructions, the kernel takes at most {}",
                program.filter.size(), BPF_MAXINSNS);
  return program;
}

Result<SeccompProgram> CompileDefaultProfile(CapabilitySet capabilities) {
  return CompileRules(DefaultSeccompRules(capabilities));
}

Result<SeccompProgram> CompileJsonProfile(const std::string& json, CapabilitySet capabilities) {
  ASSIGN_OR_RETURN(const auto rules, ParseSeccompJson(json, capabilities));
  return CompileRules(rules);
}

}  // namespace catamaran
