#include "vm-backend/probes/vm_probes.h"

#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/probes/probe.h"
#include "vm-backend/host/qemu_launch.h"
#include "vm-backend/probes/guest_files.h"
#include "vm-backend/probes/qemu_probe.h"
#include "vm-backend/volumes/volume_server_process.h"

namespace catamaran {
namespace {

constexpr char kNoMachine[] = "pods of this handler are refused";

Result<Finding> TryAccelerator(bool allow_emulation) {
  const Status kvm = ProbeKvm();
  if (kvm) return Works("KVM carries out cmpxchg16b, xsave, xrstor and a loop in time");
  Finding finding{"", FindingStatus::kMissing, kvm.error().message, kNoMachine, ""};
  finding.remedy =
      Exists("/dev/kvm")
          ? "run on hardware, or under a hypervisor that passes virtualisation on"
          : "modprobe kvm_intel (or kvm_amd); switch virtualisation on in the firmware";
  if (allow_emulation) {
    finding.status = FindingStatus::kDegraded;
    finding.meaning =
        "virtual machines are emulated: ten times slower, and by QEMU's own words no "
        "security boundary";
  } else {
    finding.remedy += "; or allow_emulation: true in the configuration, for tests";
  }
  return finding;
}

// The pod's network namespace with its card, and a tap beside it.
Result<Finding> TryTap() {
  if (unshare(CLONE_NEWNET) != 0) return FailWithErrno("make a network namespace");
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  RETURN_IF_ERROR(netlink.AddVethPair({.name = "eth0", .peer_name = "host0"}));
  RETURN_IF_ERROR(netlink.SetLinkUp("eth0"));
  spec::SandboxSpec sandbox;
  sandbox.set_network_namespace(fmt::format("/proc/{}/ns/net", getpid()));
  sandbox.add_interfaces()->set_name("eth0");
  ASSIGN_OR_RETURN(const UniqueFd tap, MakePodTap(sandbox));
  return Works("a tap in a pod's network namespace, joined to its card by tc");
}

// It ends by itself once its guest is gone.
Result<Finding> TryVolumeServer() {
  int guest[2], control[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, guest) != 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0)
    return FailWithErrno("socketpair");
  UniqueFd guest_end(guest[1]), control_end(control[1]);
  guest_end.Reset();
  control_end.Reset();
  switch (RunVolumeServer(UniqueFd(guest[0]), UniqueFd(control[0]))) {
    case 0:
      return Works("starts in namespaces of its own with an empty root");
    case 2:
      return Fail(ErrorCode::kFailedPrecondition, "cannot confine itself (namespaces, pivot_root)");
    default:
      return Fail(ErrorCode::kFailedPrecondition, "libfuse gives it no session");
  }
}

Result<Finding> TryMemory(const spec::MachineSpec& machine) {
  const uint64_t guest =
      GuestMemoryBytes(0, machine.default_memory_bytes(), machine.overhead_memory_bytes());
  std::istringstream table(ReadFile("/proc/meminfo").value_or(""));
  for (std::string word; table >> word;) {
    if (word != "MemAvailable:") continue;
    uint64_t kibibytes = 0;
    table >> kibibytes;
    const std::string seen =
        fmt::format("{} MiB available, a machine has {} MiB", kibibytes >> 10, guest >> 20);
    if (kibibytes << 10 >= guest) return Works(seen);
    return Fail(ErrorCode::kResourceExhausted, "{}", seen);
  }
  return Fail(ErrorCode::kNotFound, "no MemAvailable in /proc/meminfo");
}

void ProbeGuestFiles(const spec::MachineSpec& machine, const FindingSink& sink) {
  struct File {
    const char* name;
    const char* key;
    Result<std::string> (*look)(const std::string&);
    const std::string& path;
  };
  const File files[] = {
      {"guest kernel", "kernel", LookAtKernel, machine.kernel()},
      {"guest initramfs", "initramfs", LookAtInitramfs, machine.initramfs()},
      {"guest disk", "writable_disk", LookAtWritableDisk, machine.writable_disk()}};
  for (const File& file : files) {
    sink(RunProbe({.name = file.name,
                   .meaning = kNoMachine,
                   .remedy = fmt::format("name one in the handler's machine.{}; ./dev build makes "
                                         "one in build/guest",
                                         file.key),
                   .run = [&]() -> Result<Finding> {
                     ASSIGN_OR_RETURN(const std::string seen, file.look(file.path));
                     return Works(seen);
                   }}));
  }
}

void ProbeQemu(const spec::MachineSpec& machine, Accelerator accelerator, const FindingSink& sink) {
  sink(RunProbe({.name = "qemu",
                 .meaning = kNoMachine,
                 .remedy = "apt-get install qemu-system-x86; handlers' machine.qemu names it",
                 .run = [&]() -> Result<Finding> {
                   ASSIGN_OR_RETURN(const std::string qemu,
                                    TryQemu(machine, accelerator, QemuMachine::Memory::kPrivate));
                   return Works(fmt::format("{} starts a q35 with every device by {}", qemu,
                                            AcceleratorName(accelerator)));
                 }}));
  if (!machine.use_template()) return;
  sink(RunProbe(
      {.name = "templates",
       .failure = FindingStatus::kDegraded,
       .meaning = "every machine boots, which takes seconds, and none shares memory",
       .remedy = "what the line above asks for; a kernel that seals memfds (CONFIG_MEMFD_CREATE)",
       .run = [&]() -> Result<Finding> {
         RETURN_IF_ERROR(TryQemu(machine, accelerator, QemuMachine::Memory::kTemplateClone));
         return Works("a machine starts on memory that nothing can change any more");
       }}));
}

}  // namespace

void ProbeVm(const spec::MachineSpec& machine, const FindingSink& sink) {
  const Finding accelerator = RunProbe(
      {.name = "accelerator",
       .failure = machine.allow_emulation() ? FindingStatus::kDegraded : FindingStatus::kMissing,
       .meaning = kNoMachine,
       .remedy = "run on hardware, or set allow_emulation: true in the configuration",
       .run = [&] { return TryAccelerator(machine.allow_emulation()); }});
  sink(accelerator);
  ProbeQemu(machine,
            accelerator.status == FindingStatus::kOk ? Accelerator::kKvm : Accelerator::kTcg, sink);
  ProbeGuestFiles(machine, sink);
  sink(RunProbe({.name = "guest memory",
                 .failure = FindingStatus::kDegraded,
                 .meaning = "a machine's memory may be refused or killed when it is touched",
                 .remedy = "a smaller default_memory of the handler, or fewer pods on this host",
                 .run = [&] { return TryMemory(machine); }}));
  sink(RunProbe({.name = "tap",
                 .meaning = "pods of this handler have no network",
                 .remedy = "modprobe tun veth sch_ingress cls_u32 act_mirred",
                 .run = TryTap}));
  sink(RunProbe({.name = "volume server",
                 .meaning = "pods of this handler with volumes fail",
                 .remedy = "let the seccomp filter around the daemon allow unshare, mount and "
                           "pivot_root",
                 .run = TryVolumeServer}));
}

}  // namespace catamaran
