#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "sandbox/base/files.h"
#include "sandbox/container/capabilities.h"
#include "sandbox/container/seccomp.h"

// Capabilities and filters as the running kernel enforces them, each in a child of its own.
namespace catamaran {
namespace {

// What the child's function returned, or 128 + the signal that ended it.
int InChild(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// errno of a system call in a child under this program; 0 where it succeeded.
int Under(const SeccompProgram& program, const std::function<long()>& call) {
  return InChild([&] {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 200;
    if (!InstallSeccomp(program)) return 201;
    return call() < 0 ? errno : 0;
  });
}

SeccompProgram Default(CapabilitySet capabilities = DefaultCapabilities()) {
  return CompileDefaultProfile(capabilities).value();
}

std::string StatusLine(const std::string& key) {
  const auto text = ReadFile("/proc/self/status").value();
  const auto at = text.find("\n" + key + ":\t") + 1;
  return text.substr(at + key.size() + 2, 16);
}

TEST(CapabilitiesInTheKernel, AreExactlyTheSetAfterSetuid) {
  const int result = InChild([] {
    const CapabilitySet own = OwnBoundingSet().value();
    const CapabilitySet set = DefaultCapabilities() & own;
    if (!DropBoundingSet(set) || !KeepCapabilitiesOverSetuid()) return 1;
    if (setresgid(1000, 1000, 1000) != 0 || setresuid(1000, 1000, 1000) != 0) return 2;
    if (!ApplyCapabilities(set, {})) return 3;
    const std::string wanted = fmt::format("{:016x}", set.bits);
    const std::string none(16, '0');
    if (StatusLine("CapBnd") != wanted || StatusLine("CapPrm") != wanted) return 4;
    if (StatusLine("CapEff") != wanted) return 5;
    if (StatusLine("CapInh") != none || StatusLine("CapAmb") != none) return 6;
    if (prctl(PR_GET_KEEPCAPS) != 0) return 7;
    return 0;
  });
  EXPECT_EQ(result, 0);
}

TEST(CapabilitiesInTheKernel, AllIsWhatWeHaveOurselves) {
  spec::Capabilities all;
  all.set_all(true);
  const CapabilitySet own = OwnBoundingSet().value();
  const CapabilitySet set = ResolveCapabilities(all, own).value();
  EXPECT_EQ(InChild([&] { return DropBoundingSet(set) && ApplyCapabilities(set, {}) ? 0 : 1; }), 0);
  EXPECT_EQ(fmt::format("{:016x}", own.bits), StatusLine("CapBnd"));
}

TEST(DefaultSeccomp, AllowsOrdinaryCalls) {
  const auto program = Default();
  EXPECT_EQ(Under(program, [] { return open("/", O_RDONLY); }), 0);
  EXPECT_EQ(Under(program, [] { return socket(AF_INET, SOCK_STREAM, 0); }), 0);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_personality, 0xffffffff); }), 0);
  EXPECT_EQ(Under(program,
                  [] {
                    const pid_t child = fork();
                    if (child == 0) _exit(0);
                    return static_cast<long>(child);
                  }),
            0);
}

TEST(DefaultSeccomp, RefusesWhatReachesTheMachine) {
  const auto program = Default();
  EXPECT_EQ(Under(program, [] { return unshare(CLONE_NEWUSER); }), EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_mount, "a", "/", "b", 0, 0); }), EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(Under(program, [] { return socket(38, SOCK_SEQPACKET, 0); }), EPERM) << "AF_ALG";
  EXPECT_EQ(Under(program, [] { return socket(40, SOCK_STREAM, 0); }), EPERM) << "AF_VSOCK";
  EXPECT_EQ(Under(program, [] { return syscall(SYS_personality, 0x0040000); }), EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }),
            EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
}

TEST(DefaultSeccomp, AnswersNewerCallsAsAnOldKernelWould) {
  EXPECT_EQ(Under(Default(), [] { return syscall(900); }), ENOSYS);
}

TEST(DefaultSeccomp, FollowsTheCapabilities) {
  const auto syslog = [] { return syscall(SYS_syslog, 10 /* size of the buffer */, nullptr, 0); };
  EXPECT_EQ(Under(Default(), syslog), EPERM);
  CapabilitySet more = DefaultCapabilities();
  more.Add(CAP_SYSLOG);
  EXPECT_EQ(Under(Default(more), syslog), 0);
  more.Add(CAP_SYS_ADMIN);
  EXPECT_EQ(Under(Default(more), [] { return unshare(CLONE_NEWUTS); }), 0);
  EXPECT_EQ(Under(Default(more), [] { return syscall(SYS_clone3, nullptr, 0); }), EINVAL);
}

TEST(JsonSeccomp, IsEnforced) {
  const auto program = CompileJsonProfile(R"({
    "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [
      {"names": ["getppid", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
      {"names": ["dup2"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 1, "value": 77, "op": "SCMP_CMP_EQ"}]},
      {"names": ["getpgid"], "action": "SCMP_ACT_KILL_PROCESS"}]})",
                                          DefaultCapabilities())
                           .value();
  EXPECT_EQ(Under(program, [] { return syscall(SYS_getppid); }), 99);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_dup2, 0, 77); }), EPERM);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_dup2, 0, 78); }), 0);
  EXPECT_EQ(Under(program, [] { return syscall(SYS_getpgid, 0); }), 128 + SIGSYS);
  EXPECT_EQ(Under(program, [] { return syscall(900); }), ENOSYS) << "from the kernel itself";
}

TEST(Seccomp, UnconfinedInstallsNothing) {
  EXPECT_TRUE(CompileSeccomp({}, {}).value()->empty());
  EXPECT_EQ(InChild([] { return InstallSeccomp({}) && prctl(PR_GET_SECCOMP) == 0 ? 0 : 1; }), 0);
}

}  // namespace
}  // namespace catamaran
