#include "vm-backend/host/qemu_confinement.h"

#include <filesystem>

namespace catamaran {
namespace {

// Of a QEMU that is part of the system: what lies beside it is the whole system's.
constexpr const char* kData[] = {"share/qemu", "share/seabios", "share/qemu-efi", "share/ovmf"};
constexpr const char* kLibraries[] = {"/lib",     "/lib32",     "/lib64",
                                      "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"};

}  // namespace

VmmConfinement QemuConfinement(const QemuMachine& machine) {
  VmmConfinement confinement;
  const auto show = [&](const std::string& path) { confinement.shown.push_back({path, path}); };
  for (const char* path : kLibraries) show(path);
  const auto prefix = std::filesystem::path(machine.qemu).parent_path().parent_path();
  if (prefix == "/usr" || prefix == "/usr/local" || prefix == "/") {
    show(machine.qemu);
    for (const char* folder : kData) show(prefix / folder);
    if (prefix != "/usr") show(prefix / "lib");
  } else {
    // One in a folder of its own, with libraries and firmware of its own.
    show(prefix);
  }
  if (machine.boot == QemuMachine::Boot::kKernel) {
    confinement.shown.push_back({machine.kernel.string(), kKernelName});
    confinement.shown.push_back({machine.initramfs.string(), kInitramfsName});
  }
  if (machine.accelerator == Accelerator::kKvm) confinement.device = "/dev/kvm";
  confinement.own_descriptors = machine.memory != QemuMachine::Memory::kPrivate;
  return confinement;
}

}  // namespace catamaran
