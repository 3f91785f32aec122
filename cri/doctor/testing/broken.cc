#include "cri/doctor/testing/broken.h"

#include <algorithm>
#include <filesystem>

namespace catamaran {

void CheckLine(const Turned& turned, const DoctorOutcome& outcome) {
  const Finding* found = outcome.Find(turned.name);
  ASSERT_NE(found, nullptr) << turned.name;
  EXPECT_EQ(FindingStatusName(found->status), FindingStatusName(turned.status)) << found->seen;
  EXPECT_NE(found->seen.find(turned.seen), std::string::npos) << found->seen;
  EXPECT_NE(found->remedy.find(turned.remedy), std::string::npos) << found->remedy;
  EXPECT_EQ(found->remedy.empty(), turned.status == kOk) << turned.name;
  EXPECT_EQ(found->meaning.empty(), turned.status == kOk) << turned.name;
}

std::vector<std::string> HostLines() {
  return {"capabilities", "oom score",          "processes",  "namespaces",
          "cgroups",      "cgroup controllers", "pod cgroup", "device limits"};
}

std::vector<std::string> NamespaceLines() {
  return {"mount api", "safe paths",      "user namespaces", "id-mapped mounts", "overlay",
          "seccomp",   "seccomp actions", "apparmor",        "selinux",          "criu"};
}

std::vector<std::string> VmLines() {
  return {"accelerator", "qemu",         "templates", "guest kernel", "guest initramfs",
          "guest disk",  "guest memory", "tap",       "volume server"};
}

std::vector<std::string> operator+(std::vector<std::string> one,
                                   const std::vector<std::string>& more) {
  one.insert(one.end(), more.begin(), more.end());
  return one;
}

TEST_P(Broken, TurnsExactlyItsLines) {
  const Row& row = GetParam();
  if (!row.needs.empty() && !std::filesystem::exists(row.needs))
    GTEST_SKIP() << "this host has no " << row.needs << " to break";
  DoctorRun whole = row.run;
  whole.config.clear();
  whole.kubelet = kRightKubelet;
  whole.break_it = nullptr;
  const DoctorOutcome& before = RunDoctorOnce(whole);
  const DoctorOutcome after = RunDoctorIn(row.run);
  ASSERT_FALSE(after.findings.empty()) << after.output;
  bool fails = false;
  for (const Finding& finding : after.findings) fails |= finding.status == kMissing;
  EXPECT_EQ(after.exit_code, fails ? 1 : 0);
  EXPECT_EQ(after.leftovers, "");
  for (const Turned& turned : row.turned) CheckLine(turned, after);
  for (const Finding& finding : before.findings) {
    const auto same = [&](const auto& turned) { return turned.name == finding.name; };
    if (std::any_of(row.turned.begin(), row.turned.end(), same)) continue;
    const Finding* now = after.Find(finding.name);
    const bool is_gone =
        std::find(row.gone.begin(), row.gone.end(), finding.name) != row.gone.end();
    ASSERT_EQ(now == nullptr, is_gone) << finding.name;
    if (now == nullptr) continue;
    EXPECT_EQ(FindingStatusName(now->status), FindingStatusName(finding.status))
        << finding.name << " turned too: " << now->seen;
  }
}

}  // namespace catamaran
