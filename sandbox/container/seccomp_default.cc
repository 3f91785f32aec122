#include <linux/capability.h>
#include <sched.h>

#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/container/seccomp_rules.h"

// The default profile: what docker's (github.com/moby/profiles) and containerd's allow, by the
// names of the system calls. Two things differ from the first: socketcall is refused, as it would
// get around the filter of socket's families, and those families are a range with holes.
namespace catamaran {
namespace {

constexpr std::string_view kAlways =
    "_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset "
    "chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 "
    "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range "
    "connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl "
    "epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve "
    "execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
    "fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
    "flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync "
    "ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake "
    "futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid "
    "getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername "
    "getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
    "getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid "
    "getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch "
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit "
    "ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr "
    "listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack "
    "membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 "
    "mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive "
    "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget "
    "msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open "
    "openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
    "pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 "
    "process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 "
    "pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg "
    "recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 "
    "restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity "
    "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
    "sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop "
    "semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list "
    "set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
    "setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid "
    "setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid "
    "setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd "
    "signalfd4 sigprocmask sigreturn socketpair splice stat stat64 statfs statfs64 statmount "
    "statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create "
    "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 "
    "timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times "
    "tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat "
    "utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

#if defined(__x86_64__)
constexpr std::string_view kOfThisArchitecture = "arch_prctl modify_ldt";
#elif defined(__aarch64__)
constexpr std::string_view kOfThisArchitecture =
    "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls";
#else
constexpr std::string_view kOfThisArchitecture;
#endif

std::vector<std::string> Words(std::string_view text) {
  std::istringstream words{std::string(text)};
  return {std::istream_iterator<std::string>(words), {}};
}

struct ByCapability {
  int capability;
  std::vector<std::string> names;
};

const std::vector<ByCapability>& NamesByCapability() {
  static const std::vector<ByCapability> kTable = {
      {CAP_DAC_READ_SEARCH, {"open_by_handle_at"}},
      {CAP_SYS_ADMIN,
       {"bpf",
        "clone",
        "clone3",
        "fanotify_init",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "lookup_dcookie",
        "lsm_get_self_attr",
        "lsm_list_modules",
        "lsm_set_self_attr",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_tree",
        "perf_event_open",
        "quotactl",
        "quotactl_fd",
        "setdomainname",
        "sethostname",
        "setns",
        "syslog",
        "umount",
        "umount2",
        "unshare"}},
      {CAP_SYS_BOOT, {"reboot"}},
      {CAP_SYS_CHROOT, {"chroot"}},
      {CAP_SYS_MODULE, {"delete_module", "init_module", "finit_module"}},
      {CAP_SYS_PACCT, {"acct"}},
      {CAP_SYS_PTRACE,
       {"kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev",
        "ptrace"}},
      {CAP_SYS_RAWIO, {"iopl", "ioperm"}},
      {CAP_SYS_TIME, {"settimeofday", "stime", "clock_settime", "clock_settime64"}},
      {CAP_SYS_TTY_CONFIG, {"vhangup"}},
      {CAP_SYS_NICE, {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"}},
      {CAP_SYSLOG, {"syslog"}},
      {CAP_BPF, {"bpf"}},
      {CAP_PERFMON, {"perf_event_open"}},
  };
  return kTable;
}

scmp_arg_cmp Argument(unsigned index, scmp_compare operation, uint64_t value, uint64_t second = 0) {
  return {index, operation, value, second};
}

void AllowSocketFamilies(SeccompRules& rules) {
  // Neither AF_ALG (38, the kernel's crypto interface) nor AF_VSOCK (40, the hypervisor's).
  rules.rules.push_back({{"socket"}, SCMP_ACT_ALLOW, {Argument(0, SCMP_CMP_LT, 38)}});
  rules.rules.push_back({{"socket"}, SCMP_ACT_ALLOW, {Argument(0, SCMP_CMP_EQ, 39)}});
  rules.rules.push_back({{"socket"}, SCMP_ACT_ALLOW, {Argument(0, SCMP_CMP_GT, 40)}});
}

void AllowPersonalities(SeccompRules& rules) {
  // PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, and the query.
  for (const uint64_t persona : {0x0u, 0x8u, 0x20000u, 0x20008u, 0xffffffffu})
    rules.rules.push_back({{"personality"}, SCMP_ACT_ALLOW, {Argument(0, SCMP_CMP_EQ, persona)}});
}

void AllowThreadsButNoNamespaces(SeccompRules& rules) {
  constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                   CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
#if defined(__s390x__)
  constexpr unsigned kFlags = 1;
#else
  constexpr unsigned kFlags = 0;
#endif
  rules.rules.push_back(
      {{"clone"}, SCMP_ACT_ALLOW, {Argument(kFlags, SCMP_CMP_MASKED_EQ, kNamespaces, 0)}});
  // Its flags are in memory, where no filter can look; C libraries fall back to clone.
  rules.rules.push_back({{"clone3"}, SCMP_ACT_ERRNO(38), {}});
}

}  // namespace

std::vector<uint32_t> NativeArchitectures() {
#if defined(__x86_64__)
  return {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
  return {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
#else
  return {seccomp_arch_native()};
#endif
}

CapabilitySet CapabilitiesOfDefaultProfile(CapabilitySet capabilities) {
  CapabilitySet known;
  for (const auto& entry : NamesByCapability()) known.Add(entry.capability);
  return capabilities & known;
}

SeccompRules DefaultSeccompRules(CapabilitySet capabilities) {
  SeccompRules rules;
  rules.architectures = NativeArchitectures();
  rules.rules.push_back({Words(kAlways), SCMP_ACT_ALLOW, {}});
  rules.rules.push_back({Words(kOfThisArchitecture), SCMP_ACT_ALLOW, {}});
  AllowSocketFamilies(rules);
  AllowPersonalities(rules);
  for (const auto& [capability, names] : NamesByCapability())
    if (capabilities.Has(capability)) rules.rules.push_back({names, SCMP_ACT_ALLOW, {}});
  if (!capabilities.Has(CAP_SYS_ADMIN)) AllowThreadsButNoNamespaces(rules);
  return rules;
}

}  // namespace catamaran
