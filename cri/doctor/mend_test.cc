#include "cri/doctor/mend.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cri/doctor/sysctl_probes.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Kind = HostChange::Kind;
using Mode = HostChanger::Mode;
using Outcome = DoctorReport::Mended::Outcome;

Finding Broken(const std::string& name) {
  return {name, FindingStatus::kDegraded, "seen", "meaning", "remedy of " + name};
}
DoctorReport ReportOf(const std::vector<std::string>& names) {
  DoctorReport report;
  report.sections.push_back({"host", {}, {{"fine", FindingStatus::kOk, "seen", "", ""}}});
  for (const std::string& name : names) report.sections[0].findings.push_back(Broken(name));
  return report;
}

// A host of files, with a modprobe that notes what it is asked for.
class MendTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mend-XXXXXX";
    root_ = HostPath(mkdtemp(name));
    Put("proc/sys/net/ipv4/ip_forward", "0\n");
    Put("proc/sys/fs/inotify/max_user_instances", "128\n");
    Put("proc/sys/fs/inotify/max_user_watches", "1000000\n");
    Put("modprobe", "#!/bin/sh\necho \"$@\" >> " + (root_ / "asked").string() +
                        "\ncase $2 in absent*) echo \"module $2 not found\" >&2; exit 1;; esac\n"
                        "mkdir -p " +
                        (root_ / "sys/module").string() + "/$2\n");
    chmod((root_ / "modprobe").c_str(), 0755);
    config_.run = HostPath("/run/catamaran");
  }
  void TearDown() override { (void)RemoveTree(root_.value()); }

  void Put(const std::string& file, const std::string& text) {
    const HostPath path = root_ / file;
    ASSERT_TRUE(MakeDirectories(path.value().parent_path()));
    ASSERT_TRUE(ReplaceFile(path.value(), text, 0644, Durability::kProcessCrash));
  }
  std::string Get(const std::string& file) const {
    return ReadFile((root_ / file).value()).value_or("(none)");
  }
  HostChanger Changer(Mode mode) const {
    return HostChanger({root_, (root_ / "modprobe").string()}, mode);
  }
  Result<std::string> Make(const HostChange& change, Mode mode = Mode::kMake) const {
    return Changer(mode).Make(change, Deadline::After(std::chrono::seconds(20)));
  }
  std::vector<DoctorReport::Mended> MendAll(const std::vector<std::string>& names, Mode mode) {
    return Mend(ReportOf(names), config_, Changer(mode), mode);
  }

  HostPath root_;
  Config config_;
};

TEST_F(MendTest, ASysctlIsSetOnceAndKept) {
  const HostChange change{Kind::kSysctl, "net.ipv4.ip_forward", "1"};
  EXPECT_EQ(Make(change, Mode::kSay).value(),
            "net.ipv4.ip_forward = 1 (was 0), kept in /etc/sysctl.d/catamaran.conf");
  EXPECT_EQ(Get("proc/sys/net/ipv4/ip_forward"), "0\n") << "only said";
  EXPECT_EQ(Get("etc/sysctl.d/catamaran.conf"), "(none)");
  EXPECT_EQ(Make(change).value(),
            "net.ipv4.ip_forward = 1 (was 0), kept in /etc/sysctl.d/catamaran.conf");
  EXPECT_EQ(Get("proc/sys/net/ipv4/ip_forward"), "1\n");
  const std::string kept = Get("etc/sysctl.d/catamaran.conf");
  EXPECT_EQ(
      kept,
      "# By `catamaran doctor --fix`: what pods need of this host.\nnet.ipv4.ip_forward = 1\n");
  struct stat status {};
  ASSERT_EQ(stat((root_ / "etc/sysctl.d/catamaran.conf").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644u);
  EXPECT_EQ(Make(change).value(), "") << "there is nothing left to do";
  EXPECT_EQ(Get("etc/sysctl.d/catamaran.conf"), kept);
}

TEST_F(MendTest, WhatOthersWroteStaysAndOnesOwnLineIsReplaced) {
  Put("etc/sysctl.d/catamaran.conf",
      "# ours\nvm.swappiness=10\n-net/ipv4/ip_forward = 0\n#net.ipv4.ip_forward = 0\n"
      "net.ipv4.ip_forward=0\n");
  ASSERT_TRUE(Make({Kind::kSysctl, "net.ipv4.ip_forward", "1"}));
  EXPECT_EQ(Get("etc/sysctl.d/catamaran.conf"),
            "# ours\nvm.swappiness=10\nnet.ipv4.ip_forward = 1\n#net.ipv4.ip_forward = 0\n");
}

TEST_F(MendTest, ALimitIsRaisedNeverLowered) {
  EXPECT_EQ(Make({Kind::kSysctl, "fs.inotify.max_user_watches", "524288", 65536}).value(), "");
  EXPECT_EQ(Get("proc/sys/fs/inotify/max_user_watches"), "1000000\n");
  EXPECT_TRUE(Make({Kind::kSysctl, "fs.inotify.max_user_instances", "1024", 512})
                  .value()
                  .starts_with("fs.inotify.max_user_instances = 1024 (was 128)"));
  EXPECT_EQ(Get("proc/sys/fs/inotify/max_user_instances"), "1024\n");
}

TEST_F(MendTest, AModuleIsLoadedOnceAndKept) {
  const HostChange change{Kind::kModule, "br_netfilter", ""};
  EXPECT_EQ(Make(change, Mode::kSay).value(),
            "module br_netfilter, kept in /etc/modules-load.d/catamaran.conf");
  EXPECT_EQ(Get("asked"), "(none)");
  EXPECT_EQ(Make(change).value(),
            "module br_netfilter loaded, kept in /etc/modules-load.d/catamaran.conf");
  EXPECT_EQ(Get("asked"), "-- br_netfilter\n");
  EXPECT_TRUE(Get("etc/modules-load.d/catamaran.conf").ends_with("\nbr_netfilter\n"));
  EXPECT_EQ(Make(change).value(), "");
  EXPECT_EQ(Get("asked"), "-- br_netfilter\n") << "it was there";
  const auto absent = Make({Kind::kModule, "absent", ""});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message, "modprobe absent: module absent not found");
  EXPECT_EQ(Get("etc/modules-load.d/catamaran.conf").find("absent"), std::string::npos)
      << "what cannot be loaded is not asked for at each boot";
}

TEST_F(MendTest, AFoldersModeIsSetAndALinkIsNotFollowed) {
  ASSERT_TRUE(MakeDirectories((root_ / "run/catamaran").value(), 0755));
  const HostChange change{Kind::kMode, "/run/catamaran", "700"};
  EXPECT_EQ(Make(change).value(), "mode 700 of /run/catamaran (was 755)");
  struct stat status {};
  ASSERT_EQ(stat((root_ / "run/catamaran").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  EXPECT_EQ(Make(change).value(), "");
  EXPECT_EQ(Make({Kind::kMode, "/run/absent", "700"}).value(), "") << "the daemon makes it";
  ASSERT_TRUE(MakeDirectories((root_ / "elsewhere").value(), 0755));
  ASSERT_EQ(symlink((root_ / "elsewhere").c_str(), (root_ / "run/link").c_str()), 0);
  EXPECT_FALSE(Make({Kind::kMode, "/run/link", "700"}));
  ASSERT_EQ(stat((root_ / "elsewhere").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
}

TEST_F(MendTest, SaysOfEachLineWhatBecameOfIt) {
  using Lines = std::vector<DoctorReport::Mended>;
  const std::vector<std::string> names = {kForwardingLine, kInotifyLine, "cni plugins", "overlay"};
  const std::string forwarding =
      "net.ipv4.ip_forward = 1 (was 0), kept in /etc/sysctl.d/catamaran.conf";
  const std::string inotify =
      "fs.inotify.max_user_instances = 1024 (was 128), kept in /etc/sysctl.d/catamaran.conf";
  EXPECT_EQ(MendAll(names, Mode::kSay),
            (Lines{{kForwardingLine, Outcome::kWould, forwarding},
                   {kInotifyLine, Outcome::kWould, inotify},
                   {"cni plugins", Outcome::kByHand, "remedy of cni plugins"},
                   {"overlay", Outcome::kWould,
                    "module overlay, kept in /etc/modules-load.d/catamaran.conf"}}));
  EXPECT_EQ(Get("asked"), "(none)");
  const Lines made = MendAll(names, Mode::kMake);
  ASSERT_EQ(made.size(), 4u);
  EXPECT_EQ(made[0].outcome, Outcome::kDone);
  EXPECT_EQ(made[3].outcome, Outcome::kDone);
  for (const auto& again : MendAll(names, Mode::kMake)) {
    EXPECT_EQ(again.outcome, Outcome::kByHand) << "all is set: something else is missing";
    EXPECT_EQ(again.text, "remedy of " + again.finding);
  }
}

TEST_F(MendTest, WhatFailsSaysWhyAndKeepsNobodyFromBeingMended) {
  ASSERT_TRUE(RemoveTree((root_ / "proc").value()));
  const auto made = MendAll({kForwardingLine, "overlay"}, Mode::kMake);
  ASSERT_EQ(made.size(), 2u);
  EXPECT_EQ(made[0].outcome, Outcome::kFailed);
  EXPECT_NE(made[0].text.find("No such file"), std::string::npos) << made[0].text;
  EXPECT_TRUE(made[0].text.ends_with("; by hand: remedy of ip forwarding")) << made[0].text;
  EXPECT_EQ(made[1].outcome, Outcome::kDone);
}

TEST_F(MendTest, WhatHasNotHelpedIsNotSaidToHave) {
  auto made = MendAll({kForwardingLine, "overlay"}, Mode::kMake);
  CheckMended(ReportOf({"overlay"}), &made);
  EXPECT_EQ(made[0].outcome, Outcome::kDone);
  EXPECT_EQ(made[1].outcome, Outcome::kFailed);
  EXPECT_TRUE(made[1].text.ends_with("that is not enough; by hand: remedy of overlay"));
}

TEST(FixPlan, EveryChangeIsOfAKindThatIsSafeAndLinesComeOnce) {
  const auto fixes = PlanFixes(ReportOf({"erofs", "erofs", "namespaces", "guest kernel"}), {});
  ASSERT_EQ(fixes.size(), 3u);
  EXPECT_EQ(fixes[0].changes,
            (std::vector<HostChange>{{Kind::kModule, "loop"}, {Kind::kModule, "erofs"}}));
  ASSERT_EQ(fixes[1].changes.size(), 6u);
  EXPECT_EQ(fixes[1].changes[1],
            (HostChange{Kind::kSysctl, "user.max_pid_namespaces", "65536", 1024}));
  EXPECT_TRUE(fixes[2].changes.empty());
}

}  // namespace
}  // namespace catamaran
