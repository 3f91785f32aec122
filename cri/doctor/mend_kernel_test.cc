// `catamaran doctor --fix` on a host that is broken in places: each line is seen needed, then done.
#include <filesystem>

#include "cri/doctor/testing/broken.h"

namespace catamaran {
namespace {

// A node with a network add-on, whose settings are in files and namespaces of the run's own.
DoctorRun BrokenNode(const std::vector<std::string>& flags, int times = 1) {
  DoctorRun run;
  run.config = "network: cni\ncni: {conf_dir: /run/net.d, bin_dirs: [/run/plugins]}\n";
  run.flags = flags;
  run.times = times;
  run.break_it = [] {
    for (const char* folder : {"/etc/sysctl.d", "/etc/modules-load.d", "/proc/sys/fs/inotify"})
      Tmpfs(folder, "size=1m,mode=0755");
    // What this machine's kernel has is not ours to change.
    if (std::filesystem::exists("/sbin/modprobe"))
      CoverWithScript(RealPath("/sbin/modprobe"), "echo no modules here >&2; exit 1");
    Write("/proc/sys/fs/inotify/max_user_instances", "128\n");
    Write("/proc/sys/fs/inotify/max_user_watches", "8192\n");
    Sysctl("net/ipv4/ip_forward", "0");
    Command("mkdir -p /run/catamaran && chmod 755 /run/catamaran");
  };
  return run;
}

const MendedLine* Find(const DoctorOutcome& outcome, const std::string& name) {
  for (const MendedLine& line : outcome.mended)
    if (line.name == name) return &line;
  return nullptr;
}

void ExpectLine(const DoctorOutcome& outcome, const MendedLine& expected) {
  const MendedLine* line = Find(outcome, expected.name);
  ASSERT_NE(line, nullptr) << expected.name << "\n" << outcome.output;
  EXPECT_EQ(line->outcome, expected.outcome) << line->text;
  EXPECT_NE(line->text.find(expected.text), std::string::npos) << line->text;
}

constexpr const char* kMended[] = {"ip forwarding", "inotify limits", "run folder"};

TEST(DoctorFix, SaysWithoutDoingWhereItIsToldTo) {
  const DoctorOutcome outcome = RunDoctorIn(BrokenNode({"--fix", "--dry-run"}));
  ExpectLine(outcome, {"ip forwarding", "would", "net.ipv4.ip_forward = 1 (was 0), kept in"});
  ExpectLine(outcome, {"inotify limits", "would", "fs.inotify.max_user_instances = 1024"});
  ExpectLine(outcome, {"run folder", "would", "mode 700 of /run/catamaran (was 755)"});
  for (const char* name : kMended) {
    ASSERT_NE(outcome.Find(name), nullptr) << name;
    EXPECT_EQ(outcome.Find(name)->status, kDegraded) << name;
  }
  EXPECT_EQ(outcome.leftovers, "");
}

TEST(DoctorFix, MendsWhatItCanAndNamesTheRest) {
  const DoctorOutcome outcome = RunDoctorIn(BrokenNode({"--fix"}));
  for (const char* name : kMended) {
    ExpectLine(outcome, {name, "mended", ""});
    ASSERT_NE(outcome.Find(name), nullptr) << name;
    EXPECT_EQ(outcome.Find(name)->status, kOk) << outcome.Find(name)->seen;
  }
  ExpectLine(outcome, {"cni configuration", "by hand", "install a network add-on"});
  EXPECT_EQ(outcome.exit_code, 1) << "there is still no network";
  EXPECT_EQ(outcome.leftovers, "");
}

TEST(DoctorFix, TwiceIsAsOnce) {
  const DoctorOutcome outcome = RunDoctorIn(BrokenNode({"--fix"}, 2));
  for (const char* name : kMended) {
    EXPECT_EQ(Find(outcome, name), nullptr) << name << " was mended the first time";
    EXPECT_EQ(outcome.Find(name)->status, kOk) << name;
  }
  ExpectLine(outcome, {"cni configuration", "by hand", "install a network add-on"});
}

TEST(DoctorFix, DryRunAloneIsAMistake) {
  const DoctorOutcome outcome = RunDoctorIn(BrokenNode({"--dry-run"}));
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_NE(outcome.output.find("--fix"), std::string::npos) << outcome.output;
}

}  // namespace
}  // namespace catamaran
