#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A disk for a running machine: the files laid end to end, each a multiple of 512 bytes.
struct VmDisk {
  struct Extent {
    HostPath file;
    uint64_t size_bytes = 0;
  };
  std::string serial;  // how the guest finds it: at most 20 characters of [a-z0-9-]
  std::vector<Extent> extents;
};

// How a machine ended that was not killed by its owner.
struct MachineEnd {
  std::string reason;  // for people
  int signal = 0;      // which killed its process, or 0
};

// One running machine with an agent in it. Everything is called on the loop's thread; destroying
// it kills the machine and removes what was made for it.
class VirtualMachine {
 public:
  virtual ~VirtualMachine() = default;

  // The byte streams to the agent and to the guest's volume pump; each can be taken once. The
  // second is invalid where the agent sees the host's files itself.
  virtual UniqueFd TakeAgentChannel() = 0;
  virtual UniqueFd TakeVolumeChannel() = 0;

  // Shows the guest one more read-only disk: the host side refuses writes whatever the guest does.
  // Nothing is copied. Done does not mean that the guest has found it yet.
  virtual void AttachDisk(const VmDisk& disk, Done done) = 0;
  // Shows the guest a block device of the host, open for writing unless it is to be read-only.
  virtual void AttachDevice(UniqueFd device, const std::string& serial, bool readonly,
                            Done done) = 0;
  // The guest must have unmounted it. Unknown serials are success.
  virtual void DetachDisk(const std::string& serial, Done done) = 0;

  // For machines of VmLauncher::Prepare. Rest, once the agent has answered: stops the machine, so
  // that it costs memory and nothing else while it waits; it can do nothing then but be claimed or
  // killed. Claim, once: gives it to this pod,
  // whose network it joins, and lets the CPUs run; kFailedPrecondition where Launch would make
  // another machine for it, now.
  virtual void Rest(Done done) = 0;
  virtual void Claim(const spec::SandboxSpec& sandbox, Done done) = 0;
  // Which pods Launch would make such a machine for.
  virtual pod::PrepareSandboxResponse suits() const = 0;

  // Ends the machine: done once its processes are gone. Idempotent.
  virtual void Kill(Done done) = 0;

  // Called once when the machine ends without Kill.
  virtual void OnExit(UniqueFunction<void(MachineEnd end)> callback) = 0;

  // The agent is an ordinary process of this host: paths of the host mean the same to it.
  virtual bool shares_host_files() const = 0;
  // Serial of the disk for writable layers; empty where there is none.
  virtual std::string writable_disk_serial() const = 0;
  // For people: launcher, accelerator, "restored" or "booted", durations, why no template was used.
  virtual std::map<std::string, std::string> details() const = 0;
};

// How long a machine may take until its agent answers, booted or cloned. A bound for what hangs and
// nothing else: a caller in a hurry has a deadline of its own, after which it destroys the sandbox
// (a kubelet waits 2 to 4 minutes, then asks again). A cold boot takes 1 s with KVM, 5 s of CPU
// emulated, which were seen to become over 2 minutes where 20 others wanted two CPUs; giving up
// then costs the boot and begins another, on a host that needed none.
inline constexpr auto kBootPatience = std::chrono::minutes(10);

// Starts machines: the one place that knows a VMM. Nothing it does blocks the loop.
class VmLauncher {
 public:
  virtual ~VmLauncher() = default;
  // `done` gets a machine whose agent runs or is about to: the caller waits for its first answer.
  // Errors: kFailedPrecondition where this host cannot run machines of this kind (naming the probe
  // that failed), kInvalidArgument for a machine specification that cannot be right.
  virtual void Launch(const spec::SandboxSpec& sandbox,
                      Completion<std::unique_ptr<VirtualMachine>> done) = 0;
  // The same ahead of the pod, of which `sandbox` has folders and machine only; see
  // VirtualMachine::Claim. A clone of a template or nothing: kUnavailable where there is none.
  virtual void Prepare(const spec::SandboxSpec& sandbox,
                       Completion<std::unique_ptr<VirtualMachine>> done) = 0;
};

}  // namespace catamaran
