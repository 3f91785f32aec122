// `catamaran doctor` on a host that is broken in one place. Every run has mount, network and pid
// namespaces of its own; nothing is broken for anybody else.
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "cri/doctor/testing/broken.h"

namespace catamaran {
namespace {

// ---- the host, for every hull ----

const Row kHostRows[] = {
    {"no control groups",
     {.break_it = [] { Cover("/sys/fs/cgroup"); }},
     {{"cgroups", kMissing, "nothing is mounted below /sys/fs/cgroup", "mount -t cgroup2"}},
     {"cgroup controllers", "pod cgroup", "device limits"}},
    {"a hierarchy that cannot be written to",
     {.break_it = [] { MakeReadOnly(CgroupOf("cpu")); }},
     {{"pod cgroup", kMissing, "Read-only file system", "read-write"},
      {"device limits", kMissing, "Read-only file system", "CONFIG_CGROUP"}},
     {},
     CgroupOf("cpu")},
    {"no pids controller",
     {.break_it = [] { Cover(CgroupOf("pids")); }},
     {{"cgroup controllers", kMissing, "no pids;", "cgroup_enable=pids"},
      {"cgroups", kDegraded, "", "failCgroupV1"}},
     {},
     CgroupOf("pids")},
    {"no hugetlb controller",
     {.break_it = [] { Cover(CgroupOf("unified")); }},
     {{"cgroup controllers", kDegraded, "no hugetlb;", "cgroup_enable=hugetlb"},
      {"cgroups", kDegraded, "", "failCgroupV1"}},
     {},
     CgroupOf("unified")},
    {"devices that only cgroup v2 can keep away",
     {.break_it = [] { Cover(CgroupOf("devices")); }},
     {{"cgroups", kDegraded, "", "failCgroupV1"}, {"device limits", kOk, "a BPF program", ""}},
     {},
     CgroupOf("devices")},
    {"devices that nothing can keep away",
     {.break_it =
          [] {
            Cover(CgroupOf("devices"));
            Deny(SYS_bpf, EPERM);
          }},
     {{"cgroups", kDegraded, "", "failCgroupV1"},
      {"device limits", kMissing, "Operation not permitted", "CONFIG_CGROUP_BPF"}},
     {},
     CgroupOf("devices")},
    {"no CAP_MKNOD",
     {.break_it = [] { DropCapability(27); }},
     {{"capabilities", kMissing, "CAP_MKNOD", "bounding set"}}},
    {"no CAP_SYS_RESOURCE",
     {.break_it = [] { DropCapability(24); }},
     {{"capabilities", kDegraded, "without CAP_SYS_RESOURCE", "bounding set"},
      {"oom score", kDegraded, "Permission denied", "CAP_SYS_RESOURCE"}}},
    {"clone3 that is not known",
     {.break_it = [] { Deny(SYS_clone3, ENOSYS); }},
     {{"processes", kMissing, "clone3: Function not implemented", "allow clone3"}}},
    {"pidfds that are refused",
     {.break_it = [] { Deny(SYS_pidfd_send_signal, EPERM); }},
     {{"processes", kMissing, "pidfd_send_signal", "pidfd_send_signal"}}},
    {"no network namespaces",
     {.users = DoctorRun::Users::kOwn, .break_it = [] { Sysctl("user/max_net_namespaces", "0"); }},
     {{"namespaces", kMissing, "net: No space left on device",
       "sysctl -w user.max_net_namespaces="},
      {"user namespaces", kDegraded, "No space left on device", "user.max_user_namespaces"},
      {"nftables", kMissing, "No space left on device", "nftables"},
      {"pod link", kMissing, "No space left on device", "veth"},
      {"pod bandwidth", kDegraded, "No space left on device", "sch_tbf"}}},
    {"no pid namespaces",
     {.users = DoctorRun::Users::kOwn, .break_it = [] { Sysctl("user/max_pid_namespaces", "0"); }},
     {{"namespaces", kMissing, "pid: No space left on device",
       "sysctl -w user.max_pid_namespaces="},
      {"user namespaces", kDegraded, "No space left on device", "user.max_user_namespaces"}}},
    {"memory that cannot be executed",
     {.break_it = [] { Sysctl("vm/memfd_noexec", "2"); }},
     {{"shim program", kDegraded, "run from its file", "sysctl -w vm.memfd_noexec=1"}}},
    {"no shim",
     {.config = "shim: /no/such/shim\n"},
     {{"shim program", kMissing, "/no/such/shim", "shim in the configuration"}},
     HostLines() + NamespaceLines() + std::vector<std::string>{"erofs"}},
    {"a shim that says nothing",
     {.config = "shim: /bin/true\n"},
     {{"shim program", kMissing, "says nothing", "of one version"}},
     HostLines() + NamespaceLines() + std::vector<std::string>{"erofs"}},
};
INSTANTIATE_TEST_SUITE_P(Host, Broken, ::testing::ValuesIn(kHostRows), NameOfRow);

// ---- folders and the socket ----

const Row kFolderRows[] = {
    {"images on a small tmpfs",
     {.break_it = [] { Tmpfs(RootFolder(), "size=90m"); }},
     {{"root folder", kDegraded, "on tmpfs", "ext4, xfs or btrfs"},
      {"disk space", kMissing, "0.1 of 0.1 GiB free", "enlarge"},
      {"erofs", kDegraded, "only by a loop device", "Linux 6.12"}}},
    {"images on a nearly full disk",
     {.break_it = [] { SmallDisk(RootFolder(), "2G", "1700M"); }},
     {{"disk space", kDegraded, "of 1.9 GiB free", "remove what is not needed"}}},
    {"no inodes",
     {.break_it =
          [] {
            Tmpfs(RootFolder(), "size=1g,nr_inodes=400");
            UseInodes(RootFolder(), 15);
          }},
     {{"root folder", kDegraded, "on tmpfs", "ext4, xfs or btrfs"},
      {"disk space", kDegraded, "% of inodes", "remove what is not needed"},
      {"erofs", kDegraded, "only by a loop device", "Linux 6.12"}}},
    {"a root that cannot be written to",
     {.break_it = [] { MakeReadOnly(RootFolder()); }},
     {{"root folder", kMissing, "Read-only file system", "root in the configuration"},
      {"erofs", kMissing, "Read-only file system", "the root folder"}},
     NamespaceLines()},
    {"a root that is a file",
     {.config = "root: /etc/passwd\n"},
     {{"root folder", kMissing, "/etc/passwd is no folder", "root in the configuration"},
      {"erofs", kMissing, "Not a directory", "the root folder"}},
     NamespaceLines()},
    {"a run folder on a disk",
     {.break_it = [] { Bind(RootFolder(), "/run"); }},
     {{"run folder", kDegraded, "/run/catamaran on", "tmpfs"}}},
    {"a run folder that is open to all",
     {.break_it =
          [] {
            mkdir("/run/catamaran", 0755);
            chmod("/run/catamaran", 0755);
          }},
     {{"run folder", kDegraded, "mode 755", "chmod 700 /run/catamaran"}}},
    {"a file in the socket's place",
     {.break_it =
          [] {
            mkdir("/run/catamaran", 0700);
            Write("/run/catamaran/catamaran.sock", "");
          }},
     {{"socket", kMissing, "something else than a socket", "listen"}}},
    {"somebody who is not root",
     {.break_it = [] { BecomeNobody(); }},
     {{"user", kMissing, "uid 65534", "sudo"},
      {"root folder", kMissing, "Permission denied", "root"},
      {"run folder", kMissing, "Permission denied", "run"},
      {"capabilities", kMissing, "without", "bounding set"},
      {"oom score", kDegraded, "Permission denied", "CAP_SYS_RESOURCE"},
      {"namespaces", kMissing, "Operation not permitted", "root"},
      {"pod cgroup", kMissing, "Permission denied", "read-write"},
      {"device limits", kMissing, "Permission denied", "CAP_BPF"},
      {"nftables", kMissing, "Operation not permitted", "nftables"},
      {"pod link", kMissing, "Operation not permitted", "veth"},
      {"pod bandwidth", kDegraded, "Operation not permitted", "sch_tbf"},
      {"erofs", kMissing, "Permission denied", "the root folder"}},
     NamespaceLines()},
};
INSTANTIATE_TEST_SUITE_P(Folders, Broken, ::testing::ValuesIn(kFolderRows), NameOfRow);

// ---- the whole ----

TEST(Doctor, SaysWhereTheConfigurationIsWrongAndNoMore) {
  const DoctorOutcome outcome = RunDoctorIn({.config = "colour: red\n"});
  EXPECT_EQ(outcome.exit_code, 1);
  ASSERT_EQ(outcome.findings.size(), 1u) << outcome.output;
  CheckLine({"configuration", kMissing, "colour: unknown key", "config check"}, outcome);
  EXPECT_EQ(outcome.leftovers, "");
}

TEST(Doctor, FindsNothingMissingHere) {
  for (const auto hull : {DoctorRun::Hull::kNamespaces, DoctorRun::Hull::kVm}) {
    const DoctorOutcome& outcome = RunDoctorOnce({.hull = hull});
    for (const Finding& finding : outcome.findings)
      EXPECT_NE(finding.status, kMissing) << finding.name << ": " << finding.seen;
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.leftovers, "");
  }
}

}  // namespace
}  // namespace catamaran
