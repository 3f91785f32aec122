#include "sandbox/container/seccomp.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <cstring>

#include "sandbox/container/seccomp_rules.h"

namespace catamaran {
namespace {

SeccompRules Parse(const std::string& json, CapabilitySet capabilities = {}) {
  auto rules = ParseSeccompJson(json, capabilities);
  EXPECT_TRUE(rules) << rules.error().message;
  return rules.value_or(SeccompRules{});
}

bool Allows(const SeccompRules& rules, const std::string& name) {
  return std::any_of(rules.rules.begin(), rules.rules.end(), [&](const SeccompRule& rule) {
    return rule.action == SCMP_ACT_ALLOW && rule.arguments.empty() &&
           std::find(rule.names.begin(), rule.names.end(), name) != rule.names.end();
  });
}

TEST(DefaultProfile, NamesSystemCallsByCapability) {
  EXPECT_FALSE(Allows(DefaultSeccompRules(DefaultCapabilities()), "mount"));
  CapabilitySet admin;
  admin.Add(CAP_SYS_ADMIN);
  EXPECT_TRUE(Allows(DefaultSeccompRules(admin), "mount"));
  EXPECT_FALSE(Allows(DefaultSeccompRules(admin), "chroot"));
  EXPECT_TRUE(Allows(DefaultSeccompRules(DefaultCapabilities()), "chroot"));
  for (const char* name : {"io_uring_setup", "keyctl", "add_key", "socketcall", "kexec_load",
                           "userfaultfd", "swapon", "clone", "socket", "personality"})
    EXPECT_FALSE(Allows(DefaultSeccompRules(DefaultCapabilities()), name)) << name;
}

TEST(JsonProfile, ReadsTheOciGrammar) {
  const auto rules = Parse(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
    "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
    "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                 {"names": ["clone"], "action": "SCMP_ACT_TRACE", "errnoRet": 7,
                  "args": [{"index": 0, "value": 2114060288, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"},
                           {"index": 1, "value": 3, "op": "SCMP_CMP_NE"}]}]})");
  EXPECT_EQ(rules.default_action, SCMP_ACT_ERRNO(38));
  EXPECT_EQ(rules.flags, SECCOMP_FILTER_FLAG_LOG);
  EXPECT_EQ(rules.architectures, (std::vector<uint32_t>{SCMP_ARCH_X86_64, SCMP_ARCH_X32}));
  ASSERT_EQ(rules.rules.size(), 2u);
  EXPECT_EQ(rules.rules[0].names, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(rules.rules[1].action, SCMP_ACT_TRACE(7));
  ASSERT_EQ(rules.rules[1].arguments.size(), 2u);
  EXPECT_EQ(rules.rules[1].arguments[0].datum_a, 2114060288u);
  EXPECT_EQ(rules.rules[1].arguments[0].datum_b, 1u);
}

TEST(JsonProfile, TakesComparisonsOfOneArgumentAsAlternatives) {
  const auto rules = Parse(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [
      {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]})");
  ASSERT_EQ(rules.rules.size(), 2u);
  EXPECT_EQ(rules.rules[1].arguments[0].datum_a, 2u);
}

TEST(JsonProfile, ReadsDockersConditions) {
  const std::string json = R"({"defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_OF_THE_FUTURE", "subArchitectures": null}],
    "syscalls": [
      {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
      {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
      {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "400.8"}},
      {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "arm64"]}},
      {"names": ["s390_pci_mmio_read"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390"]}},
      {"name": "read", "action": "SCMP_ACT_ALLOW", "args": null, "comment": "old form"}]})";
  const auto plain = Parse(json);
  EXPECT_FALSE(Allows(plain, "mount"));
  EXPECT_TRUE(Allows(plain, "clone"));
  EXPECT_TRUE(Allows(plain, "ptrace"));
  EXPECT_FALSE(Allows(plain, "kcmp"));
  EXPECT_TRUE(Allows(plain, "arch_prctl"));
  EXPECT_FALSE(Allows(plain, "s390_pci_mmio_read"));
  EXPECT_TRUE(Allows(plain, "read"));
  CapabilitySet admin;
  admin.Add(CAP_SYS_ADMIN);
  const auto privileged = Parse(json, admin);
  EXPECT_TRUE(Allows(privileged, "mount"));
  EXPECT_FALSE(Allows(privileged, "clone"));
}

TEST(JsonProfile, RefusesWhatIsWrong) {
  const std::string rows[] = {
      "",
      "[]",
      "{",
      "{}",
      R"({"defaultAction": 7})",
      R"({"defaultAction": "SCMP_ACT_NOTHING"})",
      R"({"defaultAction": "SCMP_ACT_NOTIFY"})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": -1})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 70000})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NONE"]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "archMap": []})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [1]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_KILL"}]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"]}]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "read", "action": "SCMP_ACT_KILL"}]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL",
          "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL",
          "args": [{"index": 0, "value": 1, "op": "=="}]}]})",
      std::string(100, '[') + std::string(100, ']'),
      std::string((1 << 20) + 1, ' '),
  };
  for (const auto& json : rows) {
    const auto refused = ParseSeccompJson(json, {});
    ASSERT_FALSE(refused) << json.substr(0, 200);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(CompileSeccomp, HasTheUsualProgramsReady) {
  spec::SeccompProfile profile;
  profile.set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
  CapabilitySet more = DefaultCapabilities();
  more.Add(CAP_NET_ADMIN);  // no system call depends on it
  CapabilitySet administrator = DefaultCapabilities();
  administrator.Add(CAP_SYS_ADMIN);
  const CapabilitySet all{~uint64_t{0}};
  for (const CapabilitySet set :
       {DefaultCapabilities(), more, CapabilitySet{}, administrator, all}) {
    const auto ready = CompileSeccomp(profile, set).value();
    const auto compiled = CompileDefaultProfile(set).value();
    ASSERT_EQ(ready->filter.size(), compiled.filter.size());
    EXPECT_EQ(memcmp(ready->filter.data(), compiled.filter.data(),
                     compiled.filter.size() * sizeof(sock_filter)),
              0);
  }
}

TEST(CompileSeccomp, KeepsWhatItCompiled) {
  spec::SeccompProfile profile;
  profile.set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
  CapabilitySet unusual;
  unusual.Add(CAP_SYS_PACCT);
  const auto first = CompileSeccomp(profile, unusual).value();
  EXPECT_EQ(CompileSeccomp(profile, unusual).value(), first);
  EXPECT_NE(CompileSeccomp(profile, {}).value(), first);
  profile.set_kind(spec::SeccompProfile::LOCALHOST);
  EXPECT_FALSE(CompileSeccomp(profile, {}));
  profile.set_profile_json(R"({"defaultAction": "SCMP_ACT_ALLOW"})");
  EXPECT_TRUE(CompileSeccomp(profile, {}));
}

}  // namespace
}  // namespace catamaran
