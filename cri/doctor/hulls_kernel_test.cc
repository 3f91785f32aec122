// What the doctor says where containers in namespaces, or VMs, cannot be had.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cri/doctor/testing/broken.h"

namespace catamaran {
namespace {

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
     {{"qemu", kMissing, "\"/no/qemu\": No such file", "apt-get install qemu-system-x86"},
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
     HostLines() + VmLines()},
    {"a kernel that is none",
     Vm(nullptr, "MACHINE kernel: /etc/passwd\n"),
     {{"guest kernel", kMissing, "/etc/passwd: not a Linux kernel", "machine.kernel"}}},
    {"no initramfs",
     Vm(nullptr, "MACHINE initramfs: /no/initramfs\n"),
     {{"guest initramfs", kMissing, "/no/initramfs", "machine.initramfs"}},
     {"guest agent"}},
    {"a guest of another version",
     Vm([] {
       Write("/run/stamp", "6.1 script agent");
       Bind("/run/stamp", std::filesystem::path(CATAMARAN_PROGRAM).parent_path() /
                              "../guest/.initramfs.img.stamp");
     }),
     {{"guest agent", kDegraded, "another agent", "catamaran guest build"}}},
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

}  // namespace
}  // namespace catamaran
