#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "vm-backend/host/accelerator.h"

namespace catamaran {

// The descriptors QEMU is started with, by number: it opens no socket, no tap and no memory by
// name.
enum QemuDescriptor : int {
  kQemuMonitor = 3,
  kQemuConsole = 4,
  kQemuAgent = 5,
  kQemuVolumes = 6,
  kQemuTap = 7,
  kQemuMemory = 8,  // guest RAM, with a template
  kQemuDescriptorsEnd = 9,
};

// A machine to start, everything resolved. What makes two machines' device trees equal is here and
// nowhere else, so a template and its clones differ only in `memory`, `boot` and host-side names.
struct QemuMachine {
  enum class Memory {
    kPrivate,         // anonymous
    kTemplateShared,  // kQemuMemory, written to: a template in the making
    kTemplateClone,   // kQemuMemory, mapped private
  };
  enum class Boot {
    kKernel,    // from kernel, initramfs and command line
    kIncoming,  // waits for device state
  };

  std::string qemu;  // path of qemu-system-x86_64
  Accelerator accelerator = Accelerator::kTcg;
  uint64_t memory_bytes = 0;
  uint32_t cpus = 1;
  Memory memory = Memory::kPrivate;
  Boot boot = Boot::kKernel;
  HostPath kernel;
  HostPath initramfs;
  std::string command_line;
  bool network = false;  // kQemuTap is a tap with virtio headers; else the card is unplugged
  std::string mac;       // of the card
};

// The kernel and its initramfs as QEMU sees them, see qemu_confinement.h.
inline constexpr char kKernelName[] = "/kernel";
inline constexpr char kInitramfsName[] = "/initramfs";

// Ids of what the launcher adds and removes while the machine runs.
inline constexpr char kScsiBus[] = "scsi0.0";

std::vector<std::string> QemuArguments(const QemuMachine& machine);

// The kernel's command line for a guest on this host: ours, what the accelerator needs, then the
// administrator's.
std::string GuestCommandLine(Accelerator accelerator, uint64_t tsc_khz, const std::string& extra);

// Guest RAM for a pod: its limit (or the default) plus the overhead, rounded up to one of few
// sizes, which templates are made for: 2^n and 1.5 * 2^n MiB from 128 MiB on. RAM that a guest
// never touches costs nothing.
uint64_t GuestMemoryBytes(uint64_t pod_limit, uint64_t default_memory, uint64_t overhead);
// The other way round: the limits for which that is `guest`: above the first, at most the second.
std::pair<uint64_t, uint64_t> PodLimitsOfGuest(uint64_t guest, uint64_t overhead);

// A guest's CPUs for a pod: its limit in whole CPUs, rounded up, or the handler's; and how many
// this host gives at most.
uint32_t GuestCpus(const spec::SandboxSpec& sandbox);
uint32_t MostGuestCpus();

}  // namespace catamaran
