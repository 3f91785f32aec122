#include "vm-backend/host/vm_refusals.h"

#include "vm-backend/host/qemu_command.h"

namespace catamaran {
namespace {

template <typename Spec>
struct Refusal {
  bool (*applies)(const Spec&);
  const char* message;
};

constexpr Refusal<spec::SandboxSpec> kSandbox[] = {
    {[](const auto& s) { return s.network() == spec::NODE; },
     "hostNetwork: a pod in a VM has a kernel of its own; use a namespaces runtime class"},
    {[](const auto& s) { return s.pid() == spec::NODE; },
     "hostPID: a pod in a VM cannot see the node's processes; use a namespaces runtime class"},
    {[](const auto& s) { return s.ipc() == spec::NODE; },
     "hostIPC: a pod in a VM cannot share the node's memory; use a namespaces runtime class"},
    {[](const auto& s) { return s.interfaces_size() > 1; },
     "interfaces: a VM has one network card; more than one network is not supported"},
};

constexpr Refusal<spec::ContainerSpec> kContainer[] = {
    {[](const auto& c) { return c.pid() == spec::NODE; },
     "hostPID: a container in a VM cannot see the node's processes"},
    {[](const auto& c) {
       const auto& h = c.hooks();
       return h.prestart_size() + h.create_runtime_size() + h.create_container_size() +
                  h.poststart_size() + h.poststop_size() >
              0;
     },
     "hooks: programs of the node cannot act on a container in a VM; only startContainer hooks, "
     "which are programs of the container, run there"},
};

constexpr Refusal<spec::Mount> kMount[] = {
    {[](const auto& m) { return m.propagation() == spec::BIDIRECTIONAL; },
     "propagation Bidirectional: mounts made in a VM cannot appear on the node"},
    {[](const auto& m) { return m.selinux_relabel(); },
     "selinux_relabel: labels of host files have no meaning in a VM"},
};

template <typename Spec, size_t size>
Status Check(const Refusal<Spec> (&list)[size], const Spec& spec) {
  for (const auto& refusal : list)
    if (refusal.applies(spec)) return Fail(ErrorCode::kUnimplemented, "{}", refusal.message);
  return {};
}

}  // namespace

Status RefuseSandbox(const spec::SandboxSpec& sandbox) { return Check(kSandbox, sandbox); }

Status RefuseContainer(const spec::ContainerSpec& container) {
  RETURN_IF_ERROR(Check(kContainer, container));
  for (const spec::Mount& mount : container.mounts())
    if (auto refused = Check(kMount, mount); !refused)
      return tl::unexpected<Error>(
          std::move(refused).error().While("mount " + mount.container_path()));
  return {};
}

// Neither memory nor CPUs are plugged into a machine that runs.
Status RefuseResize(const spec::SandboxSpec& sandbox, const spec::Resources& resources) {
  const spec::MachineSpec& machine = sandbox.machine();
  const uint64_t guest =
      GuestMemoryBytes(static_cast<uint64_t>(sandbox.resources().memory_limit_bytes()),
                       machine.default_memory_bytes(), machine.overhead_memory_bytes());
  const uint64_t most = PodLimitsOfGuest(guest, machine.overhead_memory_bytes()).second;
  const int64_t memory = resources.memory_limit_bytes();
  if (memory > 0 && static_cast<uint64_t>(memory) > most)
    return Fail(ErrorCode::kFailedPrecondition,
                "memory limit {}: the virtual machine was made for at most {} and cannot grow",
                memory, most);
  const int64_t period = resources.cpu_period_us() != 0 ? resources.cpu_period_us() : 100'000;
  const uint32_t cpus = GuestCpus(sandbox);
  if (resources.cpu_quota_us() > period * cpus)
    return Fail(ErrorCode::kFailedPrecondition,
                "cpu quota {} of {}: the virtual machine was made with {} CPUs and gets no more",
                resources.cpu_quota_us(), period, cpus);
  return {};
}

}  // namespace catamaran
