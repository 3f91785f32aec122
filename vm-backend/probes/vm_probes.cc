#include "vm-backend/probes/vm_probes.h"

#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/probes/probe.h"
#include "vm-backend/host/guest_files.h"
#include "vm-backend/host/pod_tap.h"
#include "vm-backend/host/qemu_launch.h"
#include "vm-backend/probes/qemu_probe.h"
#include "vm-backend/volumes/volume_server.h"

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

// A server that is given a volume, and answers that it has it.
Result<Finding> TryVolumeServer() {
  ASSIGN_OR_RETURN(SocketPair channel, MakeSocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(const auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(const auto server, VolumeServer::Start(*loop, std::move(channel.ours), {}));
  Result<std::string> added = Fail(ErrorCode::kInternal, "no answer");
  server->AddVolume({.path = HostPath("/dev/null"), .readonly = true},
                    [&](Result<std::string> name) {
                      added = std::move(name);
                      loop->Stop();
                    });
  RETURN_IF_ERROR(loop->Run());
  if (!added) return tl::unexpected(std::move(added).error());
  const auto users = [](const std::string& process) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + process + "/ns/user", error).string();
  };
  if (users(std::to_string(server->pid())) != users("self"))
    return Works("takes a volume, in namespaces of its own");
  return Finding{"", FindingStatus::kDegraded, "takes a volume, but shares this host's users",
                 "one wall less between a guest that breaks out of its server and this host",
                 "sysctl -w user.max_user_namespaces=65536"};
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

void ProbeGuestFiles(const spec::MachineSpec& machine, const ProbeRunner& run) {
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
    run({.name = file.name,
         .meaning = kNoMachine,
         .remedy = fmt::format("catamaran guest build makes it; another is named in the "
                               "handler's machine.{}",
                               file.key),
         .run = [&]() -> Result<Finding> {
           ASSIGN_OR_RETURN(const std::string seen, file.look(file.path));
           return Works(seen);
         }});
  }
}

void ProbeQemu(const spec::MachineSpec& machine, Accelerator accelerator, const ProbeRunner& run) {
  run({.name = "qemu",
       .meaning = kNoMachine,
       .remedy = "apt-get install qemu-system-x86; handlers' machine.qemu names it",
       .run = [&]() -> Result<Finding> {
         ASSIGN_OR_RETURN(const std::string qemu,
                          TryQemu(machine, accelerator, QemuMachine::Memory::kPrivate));
         return Works(fmt::format("{} starts a q35 with every device by {}", qemu,
                                  AcceleratorName(accelerator)));
       }});
  if (!machine.use_template()) return;
  run({.name = "templates",
       .failure = FindingStatus::kDegraded,
       .meaning = "every machine boots, which takes seconds, and none shares memory",
       .remedy = "what the line above asks for; a kernel that seals memfds (CONFIG_MEMFD_CREATE)",
       .run = [&]() -> Result<Finding> {
         RETURN_IF_ERROR(TryQemu(machine, accelerator, QemuMachine::Memory::kTemplateClone));
         return Works("a machine starts on memory that nothing can change any more");
       }});
}

}  // namespace

void ProbeVm(const spec::MachineSpec& machine, const ProbeRunner& run) {
  const Finding accelerator = run(
      {.name = "accelerator",
       .failure = machine.allow_emulation() ? FindingStatus::kDegraded : FindingStatus::kMissing,
       .meaning = kNoMachine,
       .remedy = "run on hardware, or set allow_emulation: true in the configuration",
       .run = [&] { return TryAccelerator(machine.allow_emulation()); }});
  ProbeQemu(machine,
            accelerator.status == FindingStatus::kOk ? Accelerator::kKvm : Accelerator::kTcg, run);
  ProbeGuestFiles(machine, run);
  run({.name = "guest memory",
       .failure = FindingStatus::kDegraded,
       .meaning = "a machine's memory may be refused or killed when it is touched",
       .remedy = "a smaller default_memory of the handler, or fewer pods on this host",
       .run = [&] { return TryMemory(machine); }});
  run({.name = "tap",
       .meaning = "pods of this handler have no network",
       .remedy = "modprobe tun veth sch_ingress cls_u32 act_mirred",
       .run = TryTap});
  run({.name = "volume server",
       .meaning = "pods of this handler with volumes fail",
       .remedy = "let the seccomp filter around the daemon allow unshare, mount and "
                 "pivot_root",
       .run = TryVolumeServer});
}

}  // namespace catamaran
