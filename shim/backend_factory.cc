#include "shim/backend_factory.h"

#include "sandbox/backend/fake_backend.h"
#include "sandbox/backend/namespace_backend.h"
#include "vm-backend/host/qemu_launcher.h"
#include "vm-backend/host/vm_backend.h"
#include "vm-backend/volumes/served_volumes.h"

namespace catamaran {
namespace {

// No process launcher: a shim of a real pod gives it a machine or nothing.
std::unique_ptr<SandboxBackend> MakeVmBackend(EventLoop& loop) {
  return std::make_unique<VmBackend>(
      loop, VmBackend::Launchers{MakeQemuLauncher(loop), nullptr},
      [&loop](const spec::SandboxSpec& sandbox, UniqueFd channel) {
        // Where the server is lost its files answer with errors; the
        // machine goes on.
        return MakeServedVolumes(loop, std::move(channel), sandbox.guest().volume_secret(), [] {});
      });
}

}  // namespace

Result<std::unique_ptr<SandboxBackend>> MakeBackend(const std::string& hull, EventLoop& loop) {
  if (hull == "ns") return MakeNamespaceBackend(loop);
  if (hull == "vm") return MakeVmBackend(loop);
  if (hull == "fake") return std::make_unique<FakeBackend>(loop);
  return Fail(ErrorCode::kInvalidArgument, "--backend {}: it is ns, vm or fake", hull);
}

}  // namespace catamaran
