#include "vm-backend/host/qemu_command.h"

#include <algorithm>
#include <thread>

namespace catamaran {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint32_t kMostCpus = 64;
constexpr uint64_t kSmallestGuest = 128 * kMiB;
constexpr uint64_t kDefaultMemory = 512 * kMiB;
constexpr uint64_t kDefaultOverhead = 128 * kMiB;
// Most of translated code: a pod's start translates 38 MiB, and a cache that overflows starts anew,
// which trebles the time of a container's start. Without huge pages only what is used is resident.
// QEMU's own default takes hundreds of MiB.
constexpr int kTranslationCacheMiB = 64;

std::vector<std::string> MachineArguments(const QemuMachine& machine) {
  const bool kvm = machine.accelerator == Accelerator::kKvm;
  std::string accelerator = "kvm";
  if (!kvm)
    accelerator = fmt::format("tcg,thread={},tb-size={}", machine.cpus > 1 ? "multi" : "single",
                              kTranslationCacheMiB);
  std::string memory = fmt::format("memory-backend-ram,id=ram0,size={}", machine.memory_bytes);
  if (machine.memory != QemuMachine::Memory::kPrivate)
    memory = fmt::format("memory-backend-file,id=ram0,size={},mem-path=/proc/self/fd/{},share={}",
                         machine.memory_bytes, static_cast<int>(kQemuMemory),
                         machine.memory == QemuMachine::Memory::kTemplateShared ? "on" : "off");
  return {
      "-machine",
      "q35,usb=off,vmport=off,sata=off,smbus=off,graphics=off,memory-backend=ram0",
      "-accel",
      accelerator,
      // Emulated: what x86-64-v2 programs need and no more, since every feature that a kernel
      // finds, it uses, and pays for in translated code.
      "-cpu",
      kvm ? "host" : "qemu64,-svm,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand",
      "-smp",
      std::to_string(std::max<uint32_t>(machine.cpus, 1)),
      "-m",
      fmt::format("{}B", machine.memory_bytes),
      "-object",
      memory,
      "-rtc",
      "base=utc",
  };
}

std::vector<std::string> DeviceArguments(const QemuMachine& machine) {
  // A clone's card exists in the template, so the template has one too: without a tap it hangs on
  // an empty hub, and a clone of it may still have a tap.
  std::string netdev = "hubport,id=net0,hubid=0";
  if (machine.network)
    netdev = fmt::format("tap,id=net0,fd={},vhost=off", static_cast<int>(kQemuTap));
  const auto socket = [](const char* id, QemuDescriptor fd) {
    return fmt::format("socket,id={},fd={}", id, static_cast<int>(fd));
  };
  return {
      "-chardev",
      socket("monitor", kQemuMonitor),
      "-mon",
      "chardev=monitor,mode=control",
      "-chardev",
      socket("console", kQemuConsole),
      "-serial",
      "chardev:console",
      // Spare slots for what is plugged into a running machine.
      "-device",
      "pcie-root-port,id=port1,chassis=1,slot=1,addr=0x10",
      "-device",
      "pcie-root-port,id=port2,chassis=2,slot=2,addr=0x11",
      "-device",
      "virtio-serial-pci,id=serial0,addr=0x3",
      "-chardev",
      socket("agent", kQemuAgent),
      "-device",
      "virtserialport,bus=serial0.0,nr=1,chardev=agent,name=agent",
      "-chardev",
      socket("volumes", kQemuVolumes),
      "-device",
      "virtserialport,bus=serial0.0,nr=2,chardev=volumes,name=volumes",
      "-device",
      "virtio-scsi-pci,id=scsi0,addr=0x4",
      "-netdev",
      netdev,
      "-device",
      fmt::format("virtio-net-pci,netdev=net0,mac={},addr=0x5,romfile=",
                  machine.mac.empty() ? "02:00:00:00:00:01" : machine.mac),
  };
}

void Append(std::vector<std::string>& to, std::vector<std::string> more) {
  std::move(more.begin(), more.end(), std::back_inserter(to));
}

}  // namespace

std::vector<std::string> QemuArguments(const QemuMachine& machine) {
  std::vector<std::string> arguments = {
      machine.qemu,
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-no-reboot",
      "-sandbox",
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"};
  Append(arguments, MachineArguments(machine));
  Append(arguments, DeviceArguments(machine));
  if (machine.boot == QemuMachine::Boot::kIncoming) {
    // QEMU keeps a kernel image in its heap: a clone, which never boots, goes without.
    Append(arguments, {"-incoming", "defer"});
  } else {
    Append(arguments,
           {"-kernel", kKernelName, "-initrd", kInitramfsName, "-append", machine.command_line});
  }
  return arguments;
}

std::string GuestCommandLine(Accelerator accelerator, uint64_t tsc_khz, const std::string& extra) {
  // A panic resets, and a reset ends QEMU (-no-reboot): a dead guest is seen at once.
  std::string line = "console=ttyS0 quiet loglevel=3 panic=-1 swiotlb=noforce cgroup_no_v1=all";
  if (accelerator == Accelerator::kTcg) {
    // Calibration against emulated timers is slow, and hopeless on a busy host; emulation is
    // outside QEMU's security promise, so mitigations would cost time and protect nothing.
    line += " no_timer_check mitigations=off";
    if (tsc_khz != 0) line += fmt::format(" tsc_early_khz={}", tsc_khz);
  }
  if (!extra.empty()) line += " " + extra;
  return line;
}

uint64_t GuestMemoryBytes(uint64_t pod_limit, uint64_t default_memory, uint64_t overhead) {
  const uint64_t pod = pod_limit != 0        ? pod_limit
                       : default_memory != 0 ? default_memory
                                             : kDefaultMemory;
  const uint64_t wanted = pod + (overhead != 0 ? overhead : kDefaultOverhead);
  uint64_t size = kSmallestGuest;
  while (size < wanted) {
    if (size / 2 * 3 >= wanted) return size / 2 * 3;
    size *= 2;
  }
  return size;
}

std::pair<uint64_t, uint64_t> PodLimitsOfGuest(uint64_t guest, uint64_t overhead) {
  if (overhead == 0) overhead = kDefaultOverhead;
  const bool power_of_two = (guest & (guest - 1)) == 0;
  uint64_t below = power_of_two ? guest / 4 * 3 : guest / 3 * 2;
  if (guest == kSmallestGuest) below = 0;
  return {below > overhead ? below - overhead : 0, guest > overhead ? guest - overhead : 0};
}

uint32_t MostGuestCpus() {
  return std::min(std::max(1u, std::thread::hardware_concurrency()), kMostCpus);
}

uint32_t GuestCpus(const spec::SandboxSpec& sandbox) {
  uint32_t cpus = std::max<uint32_t>(1, sandbox.machine().cpus());
  const spec::Resources& resources = sandbox.resources();
  if (resources.cpu_quota_us() > 0 && resources.cpu_period_us() > 0)
    cpus = static_cast<uint32_t>((resources.cpu_quota_us() + resources.cpu_period_us() - 1) /
                                 resources.cpu_period_us());
  return std::clamp(cpus, 1u, MostGuestCpus());
}

}  // namespace catamaran
