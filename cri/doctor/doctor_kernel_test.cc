// `catamaran doctor` on a host that is broken in one place: exactly the lines turn that ask for it.
// Every run has mount, network and pid namespaces of its own; nothing is broken for anybody else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cri/doctor/testing/doctor_world.h"

namespace catamaran {
namespace {

constexpr auto kOk = FindingStatus::kOk;
constexpr auto kDegraded = FindingStatus::kDegraded;
constexpr auto kMissing = FindingStatus::kMissing;

// What a line says once its thing is broken: parts of its fact and of its remedy.
struct Turned {
  std::string name;
  FindingStatus status;
  std::string seen, remedy;
};

struct Row {
  std::string title;
  DoctorRun run;
  std::vector<Turned> turned;
  std::vector<std::string> gone = {};  // lines that have nothing to say any more
  std::string needs = "";              // a file that this host must have
};

std::string NameOfRow(const ::testing::TestParamInfo<Row>& info) { return NameOf(info.param); }

void PrintTo(const Row& row, std::ostream* out) { *out << row.title; }

void CheckLine(const Turned& turned, const DoctorOutcome& outcome) {
  const Finding* found = outcome.Find(turned.name);
  ASSERT_NE(found, nullptr) << turned.name;
  EXPECT_EQ(FindingStatusName(found->status), FindingStatusName(turned.status)) << found->seen;
  EXPECT_NE(found->seen.find(turned.seen), std::string::npos) << found->seen;
  EXPECT_NE(found->remedy.find(turned.remedy), std::string::npos) << found->remedy;
  EXPECT_EQ(found->remedy.empty(), turned.status == kOk) << turned.name;
  EXPECT_EQ(found->meaning.empty(), turned.status == kOk) << turned.name;
}

class Broken : public ::testing::TestWithParam<Row> {};

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
      {"pod link", kMissing, "No space left on device", "veth"}}},
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
     {"capabilities", "oom score", "processes", "namespaces", "cgroups", "cgroup controllers",
      "pod cgroup", "device limits", "mount api", "safe paths", "user namespaces",
      "id-mapped mounts", "erofs", "overlay", "seccomp", "seccomp actions", "apparmor", "selinux",
      "criu"}},
    {"a shim that says nothing",
     {.config = "shim: /bin/true\n"},
     {{"shim program", kMissing, "says nothing", "of one version"}},
     {"capabilities", "oom score", "processes", "namespaces", "cgroups", "cgroup controllers",
      "pod cgroup", "device limits", "mount api", "safe paths", "user namespaces",
      "id-mapped mounts", "erofs", "overlay", "seccomp", "seccomp actions", "apparmor", "selinux",
      "criu"}},
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
     {"mount api", "safe paths", "user namespaces", "id-mapped mounts", "overlay", "seccomp",
      "seccomp actions", "apparmor", "selinux", "criu"}},
    {"a root that is a file",
     {.config = "root: /etc/passwd\n"},
     {{"root folder", kMissing, "/etc/passwd is no folder", "root in the configuration"},
      {"erofs", kMissing, "Not a directory", "the root folder"}},
     {"mount api", "safe paths", "user namespaces", "id-mapped mounts", "overlay", "seccomp",
      "seccomp actions", "apparmor", "selinux", "criu"}},
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
      {"erofs", kMissing, "Permission denied", "the root folder"}},
     {"mount api", "safe paths", "user namespaces", "id-mapped mounts", "overlay", "seccomp",
      "seccomp actions", "apparmor", "selinux", "criu"}},
};
INSTANTIATE_TEST_SUITE_P(Folders, Broken, ::testing::ValuesIn(kFolderRows), NameOfRow);

// ---- the network ----

const Row kNetworkRows[] = {
    {"nft that cannot be run",
     {.break_it = [] { CoverWithEmptyFile(RealPath("/usr/sbin/nft")); }},
     {{"nftables", kMissing, "nft", "apt-get install nftables"}}},
    {"nft that refuses the rules",
     {.break_it = [] { CoverWithScript(RealPath("/usr/sbin/nft"), "echo no masquerade; exit 1"); }},
     {{"nftables", kMissing, "no masquerade", "modprobe nf_tables"}}},
    {"nft that hangs",
     {.patience_seconds = 3,
      .break_it = [] { CoverWithScript(RealPath("/usr/sbin/nft"), "exec sleep 1000"); }},
     {{"nftables", kMissing, "did not end in time", "nftables"}}},
    {"a host that has the pods addresses already",
     {.break_it =
          [] {
            Command(
                "ip link add taken type veth && ip addr add 10.88.7.1/24 dev taken "
                "&& ip link set taken up");
          }},
     {{"pod addresses", kDegraded, "10.88.7.0/24 by taken", "builtin_network.cidr_v4"}}},
    {"no right to change links",
     {.break_it = [] { DropCapability(12); }},
     {{"capabilities", kMissing, "CAP_NET_ADMIN", "bounding set"},
      {"nftables", kMissing, "Operation not permitted", "nftables"},
      {"pod link", kMissing, "Operation not permitted", "veth"}}},
};
INSTANTIATE_TEST_SUITE_P(Network, Broken, ::testing::ValuesIn(kNetworkRows), NameOfRow);

// ---- CNI ----

constexpr char kConflist[] = R"({"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "ours", "bridge": "none0"}]})";
constexpr char kPlugin[] = R"(echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}')";

// The configuration of a node whose network is in files of the run's own.
DoctorRun Cni(const std::string& conflist, const std::string& plugin) {
  DoctorRun run;
  run.config = "network: cni\ncni: {conf_dir: /run/net.d, bin_dirs: [/run/plugins]}\n";
  run.break_it = [conflist, plugin] {
    if (!conflist.empty()) Write("/run/net.d/10-pods.conflist", conflist);
    if (!plugin.empty()) Write("/run/plugins/ours", "#!/bin/sh\n" + plugin + "\n", 0755);
  };
  return run;
}

const std::vector<std::string> kBuiltinLines = {"nftables", "pod link", "pod addresses"};

const Row kCniRows[] = {
    {"CNI that works",
     Cni(kConflist, kPlugin),
     {{"cni configuration", kOk, "10-pods.conflist: pods, CNI 1.0.0, ours", ""},
      {"cni plugins", kOk, "ours speaks CNI 1.0.0", ""}},
     kBuiltinLines},
    {"no CNI configuration",
     Cni("", ""),
     {{"cni configuration", kMissing, "no *.conflist", "network add-on"}},
     kBuiltinLines},
    {"a CNI configuration that is none",
     Cni(R"({"cniVersion": "1.0.0", "plugins": []})", kPlugin),
     {{"cni configuration", kMissing, "10-pods.conflist", "correct or remove"}},
     kBuiltinLines},
    {"a CNI configuration beside one that is none",
     [] {
       DoctorRun run = Cni(kConflist, kPlugin);
       run.break_it = [write = run.break_it] {
         write();
         Write("/run/net.d/05-first.conflist", "{");
       };
       return run;
     }(),
     {{"cni configuration", kDegraded, "passed over: /run/net.d/05-first.conflist", "correct or"},
      {"cni plugins", kOk, "ours speaks", ""}},
     kBuiltinLines},
    {"no CNI plugin",
     Cni(kConflist, ""),
     {{"cni configuration", kOk, "pods", ""}, {"cni plugins", kMissing, "ours", "apt-get install"}},
     kBuiltinLines},
    {"a CNI plugin of another version",
     Cni(kConflist, R"(echo '{"cniVersion":"0.2.0","supportedVersions":["0.2.0"]}')"),
     {{"cni configuration", kOk, "pods", ""},
      {"cni plugins", kMissing, "does not speak CNI 1.0.0", "apt-get install"}},
     kBuiltinLines},
    {"a CNI plugin that is not ready",
     Cni(std::string(kConflist).replace(16, 5, "1.1.0"),
         R"(case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.1.0","supportedVersions":["1.1.0"]}';;
*) echo '{"cniVersion":"1.1.0","code":50,"msg":"no leases"}'; exit 1;;
esac)"),
     {{"cni configuration", kOk, "CNI 1.1.0", ""},
      {"cni plugins", kMissing, "no leases", "network add-on"}},
     kBuiltinLines},
};
INSTANTIATE_TEST_SUITE_P(Cni, Broken, ::testing::ValuesIn(kCniRows), NameOfRow);

// ---- containers in namespaces ----

const Row kNamespaceRows[] = {
    {"mount_setattr that is refused",
     {.break_it = [] { Deny(SYS_mount_setattr, EPERM); }},
     {{"mount api", kMissing, "mount_setattr", "allow fsopen"},
      {"id-mapped mounts", kDegraded, "mount_setattr", "Linux 6.3"}}},
    {"open_tree that is not known",
     {.break_it = [] { Deny(SYS_open_tree, ENOSYS); }},
     {{"mount api", kMissing, "open_tree", "allow fsopen"}}},
    {"openat2 that is not known",
     {.break_it = [] { Deny(SYS_openat2, ENOSYS); }},
     {{"safe paths", kMissing, "Function not implemented", "openat2"}}},
    {"overlays that take no descriptors",
     {.break_it = [] { Deny(SYS_fsconfig, EINVAL, 1, FSCONFIG_SET_FD); }},
     {{"overlay", kDegraded, "only by paths", "Linux 6.13"}}},
    {"no overlays at all",
     {.break_it =
          [] {
            Deny(SYS_fsconfig, EINVAL, 1, FSCONFIG_SET_FD);
            Deny(SYS_mount, ENODEV, 3, 0);
          }},
     {{"overlay", kMissing, "No such device", "modprobe overlay"}}},
    {"no EROFS from files and no loop devices",
     {.break_it =
          [] {
            Tmpfs(RootFolder(), "size=1g");
            CoverWithEmptyFile("/dev/loop-control");
          }},
     {{"root folder", kDegraded, "on tmpfs", "ext4, xfs or btrfs"},
      {"erofs", kMissing, "by a loop device", "modprobe erofs loop"}}},
    {"no user namespaces",
     {.break_it = [] { Deny(SYS_unshare, ENOSPC, 0, CLONE_NEWUSER); }},
     {{"user namespaces", kDegraded, "No space left on device", "user.max_user_namespaces"},
      {"id-mapped mounts", kDegraded, "No space left on device", "user namespaces"}}},
    {"a part of proc that is covered",
     {.break_it = [] { CoverWithEmptyFile("/proc/sys/kernel/panic"); }},
     {{"user namespaces", kDegraded, "/proc/sys/kernel/panic", "no mounts below /proc"}}},
    {"filters that are refused",
     {.break_it = [] { Deny(SYS_seccomp, EINVAL, 0, 1); }},
     {{"seccomp", kMissing, "install the seccomp filter", "CONFIG_SECCOMP_FILTER"}}},
    {"actions that are not known",
     {.break_it = [] { Deny(SYS_seccomp, EOPNOTSUPP, 0, 2); }},
     {{"seccomp actions", kDegraded, "SCMP_ACT_LOG", "Linux"}}},
    {"an AppArmor that takes no profile",
     {.break_it =
          [] {
            Tmpfs("/sys/module", "size=1m");
            Write("/sys/module/apparmor/parameters/enabled", "Y\n");
            Tmpfs("/sys/kernel/security", "size=1m");
            Write("/sys/kernel/security/apparmor/profiles", "cri (enforce)\n");
          }},
     {{"apparmor", kDegraded, "attr/apparmor/exec", "securityfs"}}},
    {"an SELinux that takes no label",
     {.break_it =
          [] {
            CoverBut("/sys/fs", "cgroup");
            Write("/sys/fs/selinux/enforce", "1");
          }},
     {{"selinux", kDegraded, "attr/", "container-selinux"}}},
    {"a CRIU that finds something missing",
     {.break_it =
          [] {
            Tmpfs("/mnt", "size=1m");
            Write("/mnt/criu", "#!/bin/sh\necho Error: no dirty tracking; exit 1\n", 0755);
            setenv("PATH", "/mnt", 1);
          }},
     {{"criu", kDegraded, "criu check says: Error: no dirty tracking", "install criu"}}},
    {"a CRIU that works",
     {.break_it =
          [] {
            Tmpfs("/mnt", "size=1m");
            Write("/mnt/criu", "#!/bin/sh\nexit 0\n", 0755);
            setenv("PATH", "/mnt", 1);
          }},
     {{"criu", kOk, "/mnt/criu check passes", ""}}},
};
INSTANTIATE_TEST_SUITE_P(Namespaces, Broken, ::testing::ValuesIn(kNamespaceRows), NameOfRow);

// ---- virtual machines ----

DoctorRun Vm(std::function<void()> break_it, std::string config = "") {
  DoctorRun run;
  run.hull = DoctorRun::Hull::kVm;
  run.config = std::move(config);
  run.break_it = std::move(break_it);
  return run;
}

constexpr char kBusybox[] = "/bin/busybox";
constexpr char kOwnQemu[] = "MACHINE qemu: /run/q/bin/qemu\n";

// QEMU is confined to the folder it comes from: its shell must be there too.
void MakeQemu(const std::string& commands) {
  Write("/run/q/bin/qemu", "#!/run/q/bin/busybox sh\n" + commands + "\n", 0755);
  Command(std::string("cp ") + kBusybox + " /run/q/bin/busybox");
}

const Row kVmRows[] = {
    {"no KVM",
     Vm([] { CoverWithEmptyFile("/dev/kvm"); }),
     {{"accelerator", kDegraded, "Inappropriate ioctl", "hardware"}},
     {},
     "/dev/kvm"},
    {"no KVM and no emulation",
     Vm([] { CoverWithEmptyFile("/dev/kvm"); }, "allow_emulation: false\n"),
     {{"accelerator", kMissing, "Inappropriate ioctl", "allow_emulation: true"}},
     {},
     "/dev/kvm"},
    {"no QEMU",
     Vm(nullptr, "MACHINE qemu: /no/qemu\n"),
     {{"qemu", kMissing, "/no/qemu: No such file", "apt-get install qemu-system-x86"},
      {"templates", kDegraded, "/no/qemu", ""}}},
    {"a QEMU without our devices",
     Vm([] { MakeQemu("echo no virtio-scsi-pci >&2; exit 1"); }, kOwnQemu),
     {{"qemu", kMissing, "no virtio-scsi-pci", "machine.qemu"},
      {"templates", kDegraded, "no virtio-scsi-pci", ""}},
     {},
     kBusybox},
    {"a QEMU that hangs",
     [] {
       DoctorRun run = Vm([] { MakeQemu("exec /run/q/bin/busybox sleep 1000"); }, kOwnQemu);
       run.patience_seconds = 3;
       return run;
     }(),
     {{"qemu", kMissing, "no answer within 3 s", "machine.qemu"},
      {"templates", kDegraded, "no answer within 3 s", ""}},
     {},
     kBusybox},
    {"a volume server without users of its own",
     [] {
       DoctorRun run = Vm([] { Sysctl("user/max_user_namespaces", "0"); });
       run.users = DoctorRun::Users::kOwn;
       return run;
     }(),
     {{"volume server", kDegraded, "shares this host's users", "user.max_user_namespaces"}}},
    {"memory that cannot be sealed",
     Vm([] { Deny(SYS_fcntl, EPERM, 1, F_ADD_SEALS); }),
     {{"shim program", kMissing, "seal the shim's program", "shim"}},
     {"capabilities", "oom score", "processes", "namespaces", "cgroups", "cgroup controllers",
      "pod cgroup", "device limits", "accelerator", "qemu", "templates", "guest kernel",
      "guest initramfs", "guest disk", "guest memory", "tap", "volume server"}},
    {"a kernel that is none",
     Vm(nullptr, "MACHINE kernel: /etc/passwd\n"),
     {{"guest kernel", kMissing, "/etc/passwd: not a Linux kernel", "machine.kernel"}}},
    {"no initramfs",
     Vm(nullptr, "MACHINE initramfs: /no/initramfs\n"),
     {{"guest initramfs", kMissing, "/no/initramfs", "machine.initramfs"}}},
    {"a disk that is not formatted",
     Vm(nullptr, "MACHINE writable_disk: /etc/passwd\n"),
     {{"guest disk", kMissing, "not an ext4 image", "machine.writable_disk"}}},
    {"too little memory",
     Vm([] {
       Write("/run/meminfo", "MemAvailable: 65536 kB\n");
       Bind("/run/meminfo", "/proc/meminfo");
     }),
     {{"guest memory", kDegraded, "64 MiB available", "default_memory"}}},
    {"no taps",
     Vm([] { CoverWithEmptyFile("/dev/net/tun"); }),
     {{"tap", kMissing, "make tap", "modprobe tun"}}},
    {"a root that cannot be changed",
     Vm([] { Deny(SYS_pivot_root, EPERM); }),
     {{"volume server", kMissing, "has ended", "pivot_root"},
      {"qemu", kMissing, "pivot_root", "apt-get install"},
      {"templates", kDegraded, "pivot_root", ""}}},
};
INSTANTIATE_TEST_SUITE_P(Vm, Broken, ::testing::ValuesIn(kVmRows), NameOfRow);

// ---- the kubelet ----

std::string Kubelet(const std::string& from, const std::string& to) {
  std::string text = kRightKubelet;
  return text.replace(text.find(from), from.size(), to);
}

const Row kKubeletRows[] = {
    {"a kubelet of another runtime",
     {.kubelet = Kubelet("catamaran.sock", "containerd.sock")},
     {{"kubelet endpoint", kDegraded, "containerd.sock",
       "containerRuntimeEndpoint: unix:///run/"}}},
    {"a kubelet with the other cgroup driver",
     {.kubelet = Kubelet("cgroupDriver: cgroupfs", "cgroupDriver: systemd")},
     {{"kubelet cgroups", kDegraded, "systemd", "cgroupDriver: cgroupfs"}}},
    {"a kubelet that gives up early",
     {.kubelet = Kubelet("2m", "15s")},
     {{"kubelet timeout", kDegraded, "15 s", "runtimeRequestTimeout: 2m"}}},
    {"a kubelet that asks for no figures",
     {.kubelet = Kubelet("FromCRI: true", "FromCRI: false")},
     {{"kubelet stats", kDegraded, "is off", "PodAndContainerStatsFromCRI: true"}}},
    {"logs in memory",
     {.kubelet = Kubelet("podLogsDir: /var/tmp", "podLogsDir: /run/logs")},
     {{"kubelet logs", kDegraded, "/run is on tmpfs", "podLogsDir"}}},
    {"a kubelet configuration that is none",
     {.kubelet = "kind: Pod\n"},
     {{"kubelet", kDegraded, "KubeletConfiguration", "--kubelet-config"}},
     {"kubelet endpoint", "kubelet cgroups", "kubelet timeout", "kubelet stats", "kubelet logs"}},
};
INSTANTIATE_TEST_SUITE_P(Kubelet, Broken, ::testing::ValuesIn(kKubeletRows), NameOfRow);

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
