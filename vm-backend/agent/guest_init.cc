#include "vm-backend/agent/guest_init.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {
namespace {

struct EarlyMount {
  const char* type;
  const char* target;
  unsigned long flags;
  const char* options;
};
constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr EarlyMount kEarlyMounts[] = {
    {"proc", "/proc", kPlain, nullptr},
    {"sysfs", "/sys", kPlain, nullptr},
    {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
    {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
    {"cgroup2", "/sys/fs/cgroup", kPlain, nullptr},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
};

// A module of another kernel is refused with "Exec format error", a feature at a time.
Status CheckModulesFitTheKernel() {
  const auto made_for = ReadFile("/modules/kernel", 256);
  if (!made_for) return {};  // an initramfs that does not say
  utsname running{};
  uname(&running);
  if (*made_for == std::string(running.release) + "\n") return {};
  return Fail(ErrorCode::kFailedPrecondition,
              "this initramfs holds the modules of Linux {}, but Linux {} was booted with it: a "
              "handler's kernel and initramfs must be made for each other",
              made_for->substr(0, made_for->find('\n')), running.release);
}

Status LoadModules() {
  auto order = ReadFile("/modules/order", 64 << 10);
  if (!order) return {};  // everything is built into this kernel
  RETURN_IF_ERROR(CheckModulesFitTheKernel());
  std::istringstream lines(*order);
  for (std::string line; std::getline(lines, line);) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::string parameters = space == std::string::npos ? "" : line.substr(space + 1);
    ASSIGN_OR_RETURN(UniqueFd module, OpenFile("/modules/" + name, O_RDONLY));
    if (syscall(SYS_finit_module, module.get(), parameters.c_str(), 0) != 0 && errno != EEXIST)
      return FailWithErrno("load the module {}", name);
    // Its text is in the kernel now; the initramfs is memory.
    RETURN_IF_ERROR(RemoveIfExists("/modules/" + name));
  }
  return RemoveTree("/modules");
}

void RaiseLimit(__rlimit_resource resource, rlim_t value) {
  const rlimit limit{value, value};
  setrlimit(resource, &limit);
}

// Missing files are features this kernel lacks.
void TuneKernel() {
  (void)WriteExisting("/proc/self/oom_score_adj", "-1000");
  (void)WriteExisting("/proc/sys/vm/overcommit_memory", "1");  // as kubelets set it on nodes
  (void)WriteExisting("/proc/sys/kernel/pid_max", "4194304");
  RaiseLimit(RLIMIT_NOFILE, 1 << 20);
  RaiseLimit(RLIMIT_NPROC, RLIM_INFINITY);  // the kernel's default follows the size of RAM
  RaiseLimit(RLIMIT_CORE, RLIM_INFINITY);
}

}  // namespace

Status SetUpGuest() {
  umask(022);
  RETURN_IF_ERROR(MakeRootPivotable());
  RETURN_IF_ERROR(MakeDirectories("/etc", 0755));
  for (const EarlyMount& one : kEarlyMounts) {
    RETURN_IF_ERROR(MakeDirectories(one.target, 0755));
    if (mount(one.type, one.target, one.type, one.flags, one.options) != 0 && errno != EBUSY)
      return FailWithErrno("mount {} on {}", one.type, one.target);
  }
  RETURN_IF_ERROR(LoadModules());
  RETURN_IF_ERROR(MakeDirectories("/run/catamaran", 0700));
  TuneKernel();
  return {};
}

Result<UniqueFd> OpenSerialPort(const std::string& name) {
  const Deadline deadline = Deadline::After(std::chrono::seconds(30));
  while (!deadline.expired()) {
    const auto ports = ListDirectory("/sys/class/virtio-ports");
    for (const std::string& port : ports ? *ports : std::vector<std::string>()) {
      const auto label = ReadFile("/sys/class/virtio-ports/" + port + "/name", 256);
      if (label && *label == name + "\n")
        return OpenFile("/dev/" + port, O_RDWR | O_NONBLOCK | O_NOCTTY);
    }
    usleep(2000);  // the host names its ports in messages that the driver handles later
  }
  return Fail(ErrorCode::kNotFound, "the machine has no virtio-serial port \"{}\"", name);
}

int SuperviseAgent(int (*agent)()) {
  const pid_t child = fork();
  if (child == 0) return agent();
  if (child < 0) perror("fork the agent");
  while (child > 0) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0 || ended == child) {
      fprintf(stderr, "catamaran-agent: the agent ended with status %#x\n", status);
      break;
    }
  }
  EndMachine();
}

void EndMachine() {
  tcdrain(STDERR_FILENO);
  reboot(RB_AUTOBOOT);
  _exit(1);
}

}  // namespace catamaran
