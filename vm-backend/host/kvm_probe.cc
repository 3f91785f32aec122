#include "vm-backend/host/accelerator.h"

#if defined(__x86_64__)

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <csignal>
#include <cstring>
#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// The guest's physical memory: one page of 2 MiB, mapped one to one.
constexpr size_t kMemory = 2 << 20;
constexpr uint64_t kCode = 0x1000, kPml4 = 0x2000, kPdpt = 0x3000, kDirectory = 0x4000;

constexpr uint8_t kProgram[] = {
    0x31, 0xc0,                    // xor eax, eax
    0x31, 0xd2,                    // xor edx, edx
    0xbb, 0x01, 0x00, 0x00, 0x00,  // mov ebx, 1
    0xb9, 0x02, 0x00, 0x00, 0x00,  // mov ecx, 2
    0xbf, 0x00, 0x80, 0x00, 0x00,  // mov edi, 0x8000
    0xf0, 0x48, 0x0f, 0xc7, 0x0f,  // lock cmpxchg16b [rdi]
    0xf4,                          // hlt
    0xb8, 0x07, 0x00, 0x00, 0x00,  // mov eax, 7
    0x31, 0xd2,                    // xor edx, edx
    0xbf, 0x00, 0x90, 0x00, 0x00,  // mov edi, 0x9000
    0x0f, 0xae, 0x27,              // xsave [rdi]
    0x0f, 0xae, 0x2f,              // xrstor [rdi]
    0xf4,                          // hlt
    0xb9, 0xa0, 0x86, 0x01, 0x00,  // mov ecx, 100000
    0xff, 0xc9,                    // dec ecx
    0x75, 0xfc,                    // jnz -4
    0xf4,                          // hlt
};
struct Stage {
  const char* what;
  uint64_t halts_at;  // address after its hlt
};
constexpr Stage kStages[] = {
    {"cmpxchg16b", kCode + 25}, {"xsave and xrstor", kCode + 44}, {"a counting loop", kCode + 54}};

struct Vm {
  UniqueFd kvm, vm, cpu;
  kvm_run* run = nullptr;
};

// struct kvm_cpuid2 of <linux/kvm.h> has another size and layout when compiled as C++ (its flexible
// array is preceded by an empty struct), and with it the numbers of its requests.
struct CpuidTable {
  uint32_t count;
  uint32_t padding;
  kvm_cpuid_entry2 entries[256];
};
constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8);
constexpr unsigned long kSetCpuid = _IOC(_IOC_WRITE, KVMIO, 0x90, 8);

template <typename T>
Status Ioctl(const UniqueFd& fd, unsigned long request, T argument, const char* name) {
  if (ioctl(fd.get(), request, argument) < 0) return FailWithErrno("{}", name);
  return {};
}

Status SetProcessor(Vm& vm) {
  auto cpuid = std::make_unique<CpuidTable>();
  cpuid->count = std::size(cpuid->entries);
  RETURN_IF_ERROR(Ioctl(vm.kvm, kGetSupportedCpuid, cpuid.get(), "KVM_GET_SUPPORTED_CPUID"));
  RETURN_IF_ERROR(Ioctl(vm.cpu, kSetCpuid, cpuid.get(), "KVM_SET_CPUID2"));
  kvm_sregs special{};
  RETURN_IF_ERROR(Ioctl(vm.cpu, KVM_GET_SREGS, &special, "KVM_GET_SREGS"));
  special.cr3 = kPml4;
  special.cr4 = 1 << 5 | 1 << 9 | 1 << 18;  // PAE, OSFXSR, OSXSAVE
  special.cr0 = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 16 | 1u << 31;  // PE MP ET NE WP PG
  special.efer = 1 << 8 | 1 << 10;                                            // LME, LMA
  kvm_segment segment{};
  segment.limit = 0xffffffff;
  segment.present = segment.s = segment.g = 1;
  segment.type = 3;  // data, writable
  segment.selector = 0x10;
  segment.db = 1;
  special.ds = special.es = special.fs = special.gs = special.ss = segment;
  segment.type = 11;  // code
  segment.selector = 0x8;
  segment.db = 0;
  segment.l = 1;
  special.cs = segment;
  RETURN_IF_ERROR(Ioctl(vm.cpu, KVM_SET_SREGS, &special, "KVM_SET_SREGS"));
  kvm_regs registers{};
  registers.rip = kCode;
  registers.rflags = 2;
  return Ioctl(vm.cpu, KVM_SET_REGS, &registers, "KVM_SET_REGS");
}

Status MakeVm(Vm& vm) {
  ASSIGN_OR_RETURN(vm.kvm, OpenFile("/dev/kvm", O_RDWR));
  vm.vm = UniqueFd(ioctl(vm.kvm.get(), KVM_CREATE_VM, 0));
  if (!vm.vm.valid()) return FailWithErrno("KVM_CREATE_VM");
  void* memory = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return FailWithErrno("mmap guest memory");
  char* bytes = static_cast<char*>(memory);
  std::memcpy(bytes + kCode, kProgram, sizeof kProgram);
  *reinterpret_cast<uint64_t*>(bytes + kPml4) = kPdpt | 3;
  *reinterpret_cast<uint64_t*>(bytes + kPdpt) = kDirectory | 3;
  *reinterpret_cast<uint64_t*>(bytes + kDirectory) = 0x83;  // present, writable, 2 MiB
  kvm_userspace_memory_region region{};
  region.memory_size = kMemory;
  region.userspace_addr = reinterpret_cast<uint64_t>(memory);
  RETURN_IF_ERROR(Ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION"));
  vm.cpu = UniqueFd(ioctl(vm.vm.get(), KVM_CREATE_VCPU, 0));
  if (!vm.cpu.valid()) return FailWithErrno("KVM_CREATE_VCPU");
  const int run_bytes = ioctl(vm.kvm.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_bytes < 0) return FailWithErrno("KVM_GET_VCPU_MMAP_SIZE");
  void* run = mmap(nullptr, static_cast<size_t>(run_bytes), PROT_READ | PROT_WRITE, MAP_SHARED,
                   vm.cpu.get(), 0);
  if (run == MAP_FAILED) return FailWithErrno("mmap the virtual CPU");
  vm.run = static_cast<kvm_run*>(run);
  return SetProcessor(vm);
}

Status RunStage(Vm& vm, const Stage& stage) {
  // Counted in CPU time, so that a busy host does not fail a good one; the second timer is for a
  // guest that hangs without using any.
  const itimerval cpu_limit{{0, 0}, {0, 100'000}}, wall_limit{{0, 0}, {5, 0}};
  setitimer(ITIMER_PROF, &cpu_limit, nullptr);
  setitimer(ITIMER_REAL, &wall_limit, nullptr);
  if (ioctl(vm.cpu.get(), KVM_RUN, 0) != 0) {
    if (errno == EINTR) return Fail(ErrorCode::kFailedPrecondition, "{} does not end", stage.what);
    return FailWithErrno("KVM_RUN of {}", stage.what);
  }
  kvm_regs registers{};
  RETURN_IF_ERROR(Ioctl(vm.cpu, KVM_GET_REGS, &registers, "KVM_GET_REGS"));
  if (vm.run->exit_reason != KVM_EXIT_HLT || registers.rip != stage.halts_at)
    return Fail(ErrorCode::kFailedPrecondition, "{} fails (exit reason {} at {:#x})", stage.what,
                vm.run->exit_reason, registers.rip);
  return {};
}

Status Probe() {
  Vm vm;
  RETURN_IF_ERROR(MakeVm(vm));
  struct sigaction interrupt {};
  interrupt.sa_handler = [](int) {};
  sigaction(SIGPROF, &interrupt, nullptr);
  sigaction(SIGALRM, &interrupt, nullptr);
  for (const Stage& stage : kStages) RETURN_IF_ERROR(RunStage(vm, stage));
  return {};
}

}  // namespace

Status ProbeKvm() {
  auto result = Probe();
  if (!result)
    return Fail(ErrorCode::kFailedPrecondition, "KVM is not usable: {}", result.error().message);
  return {};
}

}  // namespace catamaran

#else

namespace catamaran {
Status ProbeKvm() {
  return Fail(ErrorCode::kFailedPrecondition, "KVM is not usable: no probe for this processor");
}
}  // namespace catamaran

#endif
