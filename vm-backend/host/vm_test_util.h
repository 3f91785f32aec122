#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/host/process_launcher.h"
#include "vm-backend/host/qemu_launcher.h"
#include "vm-backend/host/vm_backend.h"

namespace catamaran {

// Emulated machines on a busy host take their time.
inline constexpr auto kTestPatience = std::chrono::seconds(150);

inline std::filesystem::path BuildFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
}

// Runs the loop until `done` holds.
template <typename Condition>
bool RunUntil(EventLoop& loop, Condition condition, std::chrono::seconds patience = kTestPatience) {
  const Deadline deadline = Deadline::After(patience);
  while (!condition()) {
    if (deadline.expired()) return false;
    if (!loop.RunOnce(std::chrono::milliseconds(50))) return false;
  }
  return true;
}

// Calls a verb and runs the loop until it has completed: Await<T>(loop, [&](auto done) { ... }).
template <typename T, typename Verb>
Result<T> Await(EventLoop& loop, Verb verb) {
  std::optional<Result<T>> result;
  verb([&result](Result<T> value) { result = std::move(value); });
  if (!RunUntil(loop, [&] { return result.has_value(); }))
    return Fail(ErrorCode::kDeadlineExceeded, "the test's own deadline");
  return std::move(*result);
}

// One pod in a VM and what a shim does for it: folders, pipes, events.
class VmPod {
 public:
  explicit VmPod(EventLoop& loop, HostVolumesFactory volumes = {}) : loop_(loop) {
    std::string pattern = (std::filesystem::temp_directory_path() / "vm-pod-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ / "state");
    backend_ = std::make_unique<VmBackend>(
        loop, VmBackend::Launchers{MakeQemuLauncher(loop), MakeProcessLauncher(loop)},
        std::move(volumes));
    backend_->SetEventSink([this](const pod::Event& event) { events.push_back(event); });
  }
  ~VmPod() {
    (void)Destroy();
    backend_.reset();
    std::filesystem::remove_all(folder_);
  }

  // An emulated machine of this build's guest.
  spec::SandboxSpec MachineSandbox() const {
    spec::SandboxSpec sandbox;
    sandbox.set_pod_id(folder_.filename());
    sandbox.set_hostname("vm-test");
    sandbox.set_state_directory(folder_ / "state");
    sandbox.set_data_directory(folder_ / "data");
    sandbox.set_cgroup_path("/catamaran-test/" + folder_.filename().string());
    spec::MachineSpec& machine = *sandbox.mutable_machine();
    const auto guest = BuildFolder() / "guest";
    machine.set_kernel(guest / "vmlinuz");
    machine.set_initramfs(guest / "initramfs.img");
    machine.set_writable_disk(guest / "writable.img");
    machine.set_default_memory_bytes(192 << 20);
    machine.set_overhead_memory_bytes(64 << 20);
    machine.set_allow_emulation(true);
    machine.set_agent(BuildFolder() / "bin" / "catamaran-agent");
    return sandbox;
  }

  Result<pod::CreateSandboxResponse> Create(const spec::SandboxSpec& sandbox) {
    pod::CreateSandboxRequest request;
    *request.mutable_sandbox() = sandbox;
    return Await<pod::CreateSandboxResponse>(
        loop_, [&](auto done) { backend_->CreateSandbox(request, std::move(done)); });
  }
  Status Destroy() {
    return Await<void>(loop_, [&](auto done) { backend_->DestroySandbox(std::move(done)); });
  }

  EventLoop& loop() { return loop_; }
  VmBackend& backend() { return *backend_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::vector<pod::Event> events;

 private:
  EventLoop& loop_;
  std::filesystem::path folder_;
  std::unique_ptr<VmBackend> backend_;
};

}  // namespace catamaran
