#include "vm-backend/agent/agent_backend.h"

#include <sys/utsname.h>

#include <algorithm>

#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"
#include "sandbox/kernel/netlink.h"
#include "vm-backend/agent/guest_identity.h"
#include "vm-backend/agent/guest_init.h"

namespace catamaran {
namespace {

constexpr char kWritable[] = "/run/catamaran/disk";

std::string WritableFolder(const std::string& container) {
  return std::string(kWritable) + "/containers/" + container;
}

Status SetUpNetwork(const spec::SandboxSpec& sandbox) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  RETURN_IF_ERROR(BringUpLoopback(netlink));
  if (sandbox.interfaces().empty()) return {};
  ASSIGN_OR_RETURN(const auto links, netlink.ListLinks());
  for (const Link& link : links)
    // The machine's one card; the kinds are those of virtual links.
    if (link.name != "lo" && link.kind.empty())
      return ConfigureInterface(netlink, sandbox.interfaces(0), link.name);
  return Fail(ErrorCode::kNotFound, "the machine has no network card");
}

uint64_t ImageBytes(const spec::RootfsSpec& rootfs) {
  uint64_t bytes = rootfs.merged_metadata_bytes();
  for (const auto& layer : rootfs.layers()) bytes += layer.size_bytes();
  return bytes;
}

template <typename Function>
Status Step(std::string_view name, Function step) {
  StepSpan span(name);
  return span.Outcome(step());
}

// The root file systems in a container's specification that lie on image disks.
std::vector<spec::RootfsSpec*> OnDisks(spec::ContainerSpec& container) {
  std::vector<spec::RootfsSpec*> found;
  if (!container.rootfs().disk_serial().empty()) found.push_back(container.mutable_rootfs());
  for (spec::Mount& mount : *container.mutable_mounts())
    if (mount.has_image() && !mount.image().rootfs().disk_serial().empty())
      found.push_back(mount.mutable_image()->mutable_rootfs());
  return found;
}

}  // namespace

spec::SandboxSpec EngineSandbox(const spec::SandboxSpec& sandbox) {
  spec::SandboxSpec engine = sandbox;
  engine.clear_guest();
  engine.clear_machine();
  engine.clear_resources();  // they sized the machine
  // The whole guest is the pod's network.
  engine.set_network(spec::NODE);
  engine.clear_network_namespace();
  engine.set_cgroup_path("/pod");
  engine.set_state_directory("/run/catamaran/state");
  engine.set_data_directory(kWritable);
  return engine;
}

AgentBackend::AgentBackend(EventLoop& loop, std::unique_ptr<SandboxBackend> engine,
                           std::unique_ptr<GuestVolumes> volumes)
    : ForwardingBackend(std::move(engine)),
      loop_(loop),
      volumes_(std::move(volumes)),
      disks_(loop) {}

void AgentBackend::PrepareSandbox(const pod::PrepareSandboxRequest& request,
                                  Completion<pod::PrepareSandboxResponse> done) {
  const spec::SandboxSpec& sandbox = request.sandbox();
  if (auto taken = TakeIdentity(sandbox); !taken)
    return done(tl::unexpected<Error>(std::move(taken).error().While("guest identity")));
  if (auto started = StartVolumes(sandbox); !started)
    return done(tl::unexpected<Error>(std::move(started).error()));
  MountWritable(sandbox, [done = std::move(done)](Status mounted) mutable {
    if (!mounted) return done(tl::unexpected<Error>(std::move(mounted).error()));
    done(pod::PrepareSandboxResponse());
  });
}

void AgentBackend::CreateSandbox(const pod::CreateSandboxRequest& request,
                                 Completion<pod::CreateSandboxResponse> done) {
  const spec::SandboxSpec& sandbox = request.sandbox();
  if (auto taken = Step("identity", [&] { return TakeIdentity(sandbox); }); !taken)
    return done(tl::unexpected<Error>(std::move(taken).error().While("guest identity")));
  if (auto network = Step("network", [&] { return SetUpNetwork(sandbox); }); !network)
    return done(tl::unexpected<Error>(std::move(network).error().While("guest network")));
  if (auto started = StartVolumes(sandbox); !started)
    return done(tl::unexpected<Error>(std::move(started).error()));
  Done mounted = [this, sandbox, done = std::move(done)](Status mounted) mutable {
    if (!mounted) return done(tl::unexpected<Error>(std::move(mounted).error()));
    SetUpSandbox(sandbox, std::move(done));
  };
  MountWritable(sandbox, AsStep("disk mounted", std::move(mounted)));
}

Status AgentBackend::StartVolumes(const spec::SandboxSpec& sandbox) {
  if (!sandbox.guest().volumes() || has_volumes_) return {};
  auto port = OpenSerialPort("volumes");
  auto started = port ? volumes_->Start(std::move(*port), sandbox.guest().volume_secret())
                      : tl::unexpected<Error>(port.error());
  if (!started) return tl::unexpected<Error>(std::move(started).error().While("guest volumes"));
  has_volumes_ = true;
  return {};
}

void AgentBackend::MountWritable(const spec::SandboxSpec& sandbox, Done done) {
  const std::string serial = sandbox.guest().writable_disk_serial();
  if (serial.empty() || has_writable_disk_) return done({});
  disks_.MountWritable(serial, GuestPath(kWritable),
                       [this, done = std::move(done)](Status mounted) mutable {
                         has_writable_disk_ = mounted.has_value();
                         done(std::move(mounted));
                       });
}

void AgentBackend::SetUpSandbox(spec::SandboxSpec sandbox,
                                Completion<pod::CreateSandboxResponse> done) {
  auto sysctls = ApplyNetworkSysctls(sandbox);
  if (!sysctls) return done(tl::unexpected<Error>(sysctls.error()));
  pod::CreateSandboxRequest request;
  *request.mutable_sandbox() = EngineSandbox(sandbox);
  request.mutable_sandbox()->clear_sysctls();
  request.mutable_sandbox()->mutable_sysctls()->insert(sysctls->begin(), sysctls->end());
  next().CreateSandbox(
      request, [done = std::move(done)](Result<pod::CreateSandboxResponse> made) mutable {
        if (!made) return done(std::move(made));
        utsname kernel{};
        uname(&kernel);
        made->set_kernel_release(kernel.release);
        if (auto boot_id = ReadBootId()) made->set_boot_id(*boot_id);
        // As it is, not as it was asked for: what two pods have in common shows.
        if (auto machine_id = ReadFile("/etc/machine-id", 64))
          (*made->mutable_details())["machine_id"] = machine_id->substr(0, machine_id->find('\n'));
        done(std::move(made));
      });
}

void AgentBackend::CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                                   Completion<pod::CreateContainerResponse> done) {
  const std::string id = request.container().container_id();
  const auto [slot, is_new] = containers_.try_emplace(id);
  if (!is_new) return done(Fail(ErrorCode::kAlreadyExists, "container {} exists", id));
  Container& container = slot->second;
  container.spec = request.container();
  container.asked = request.container();
  container.to_mount = OnDisks(container.spec);
  for (int i = 0; i < container.spec.mounts_size(); ++i) {
    spec::Mount& mount = *container.spec.mutable_mounts(i);
    if (mount.has_volume_path()) mount.set_host_path(volumes_->PathOf(id, i, mount).string());
    mount.clear_guest();
  }
  // The agent is exempt from the OOM killer, and children inherit that.
  spec::ProcessSpec& process = *container.spec.mutable_process();
  if (!process.has_oom_score_adj()) {
    process.set_has_oom_score_adj(true);
    process.set_oom_score_adj(0);
  }
  auto finish = [this, id, stdio = std::move(stdio), done = std::move(done)](Status ready) mutable {
    if (ready) return HandOver(id, std::move(stdio), std::move(done));
    Release(id, [done = std::move(done), error = ready.error()](Status) mutable {
      done(tl::unexpected<Error>(std::move(error)));
    });
  };
  Done found = [this, id, finish = Done(std::move(finish))](Status devices) mutable {
    if (!devices) return finish(std::move(devices));
    PrepareVolumes(id, AsStep("volumes ready", std::move(finish)));
  };
  Done mounted = [this, id, found = std::move(found)](Status mounted) mutable {
    if (!mounted) return found(std::move(mounted));
    FindDevices(id, std::move(found));
  };
  MountImages(id, AsStep("images mounted", std::move(mounted)));
}

void AgentBackend::FindDevices(const std::string& id, Done done) {
  for (spec::Device& device : *containers_[id].spec.mutable_devices()) {
    if (device.disk_serial().empty()) continue;
    return disks_.FindDevice(
        device, [this, id, &device, done = std::move(done)](Result<std::string> node) mutable {
          if (!node) return done(tl::unexpected<Error>(std::move(node).error()));
          device.set_host_path(*node);
          device.clear_disk_serial();
          FindDevices(id, std::move(done));
        });
  }
  done({});
}

void AgentBackend::PrepareVolumes(const std::string& id, Done done) {
  const spec::ContainerSpec& asked = containers_[id].asked;
  const bool needed = std::any_of(asked.mounts().begin(), asked.mounts().end(), [](const auto& m) {
    return m.has_volume_path() && m.guest().kind() != spec::GuestVolume::SERVED;
  });
  if (!needed) return done({});
  disks_.RunTask(
      [this, id, &asked]() -> Status {
        for (int i = 0; i < asked.mounts_size(); ++i)
          if (auto ready = volumes_->Prepare(id, i, asked.mounts(i)); !ready)
            return tl::unexpected<Error>(
                std::move(ready).error().While("mount " + asked.mounts(i).container_path()));
        return {};
      },
      [this, id, done = std::move(done)](Status prepared) mutable {
        if (prepared)
          for (const spec::Mount& mount : containers_[id].asked.mounts())
            volumes_->OnPrepared(mount);
        done(std::move(prepared));
      });
}

void AgentBackend::MountImages(const std::string& id, Done done) {
  Container& container = containers_[id];
  if (container.to_mount.empty()) return done({});
  spec::RootfsSpec& rootfs = *container.to_mount.back();
  container.to_mount.pop_back();
  const std::string serial = rootfs.disk_serial();
  const bool is_volume = &rootfs != &container.spec.rootfs();
  disks_.AcquireImage(serial, ImageBytes(rootfs),
                      [this, id, serial, is_volume, &rootfs,
                       done = std::move(done)](Result<GuestPath> folder) mutable {
                        if (!folder && is_volume)
                          folder = tl::unexpected<Error>(
                              std::move(folder).error().About(ErrorSubject::kImageVolume));
                        if (!folder) return done(tl::unexpected<Error>(std::move(folder).error()));
                        containers_[id].images.push_back(serial);
                        rootfs.clear_layers();
                        rootfs.clear_merged_metadata();
                        rootfs.clear_disk_serial();
                        rootfs.add_lower_directories(folder->string());
                        MountImages(id, std::move(done));
                      });
}

void AgentBackend::HandOver(const std::string& id, Stdio stdio,
                            Completion<pod::CreateContainerResponse> done) {
  const std::string writable = WritableFolder(id);
  containers_[id].spec.mutable_rootfs()->set_writable_directory(writable);
  Done layer_made = [this, id, stdio = std::move(stdio),
                     done = std::move(done)](Status made) mutable {
    auto finish = [this, id,
                   done = std::move(done)](Result<pod::CreateContainerResponse> created) mutable {
      Container& container = containers_[id];
      container.ready = true;
      auto removals = std::move(container.removals);
      auto answer = [done = std::move(done), created,
                     removals = std::move(removals)](Status) mutable {
        done(std::move(created));
        for (auto& removal : removals) removal();
      };
      if (created) return answer({});
      Release(id, std::move(answer));
    };
    if (!made) return finish(tl::unexpected<Error>(std::move(made).error()));
    pod::CreateContainerRequest request;
    *request.mutable_container() = containers_[id].spec;
    next().CreateContainer(request, std::move(stdio), std::move(finish));
  };
  disks_.RunTask([writable] { return MakeDirectories(writable, 0700); },
                 AsStep("writable layer made", std::move(layer_made)));
}

void AgentBackend::RemoveContainer(const pod::RemoveContainerRequest& request, Done done) {
  const std::string id = request.container_id();
  const auto found = containers_.find(id);
  if (found != containers_.end() && !found->second.ready) {
    // Its creation goes on: the caller has stopped waiting for it.
    found->second.removals.push_back([this, request, done = std::move(done)]() mutable {
      RemoveContainer(request, std::move(done));
    });
    return;
  }
  next().RemoveContainer(request, [this, id, done = std::move(done)](Status removed) mutable {
    if (!removed) return done(std::move(removed));
    Release(id, std::move(done));
  });
}

void AgentBackend::Release(const std::string& id, Done done) {
  const auto found = containers_.find(id);
  if (found == containers_.end()) return done({});
  auto images = std::move(found->second.images);
  auto asked = std::move(found->second.asked);
  auto removals = std::move(found->second.removals);
  containers_.erase(found);
  disks_.RunTask(
      [this, asked = std::move(asked), folder = WritableFolder(id)]() -> Status {
        RETURN_IF_ERROR(RemoveTree(folder));
        return volumes_->Release(asked);
      },
      [this, images = std::move(images), removals = std::move(removals),
       done = std::move(done)](Status removed) mutable {
        ReleaseImages(std::move(images), [removed, removals = std::move(removals),
                                          done = std::move(done)](Status released) mutable {
          done(removed ? released : removed);
          for (auto& removal : removals) removal();
        });
      });
}

void AgentBackend::ReleaseImages(std::vector<std::string> images, Done done) {
  if (images.empty()) return done({});
  const std::string serial = images.back();
  images.pop_back();
  disks_.ReleaseImage(
      serial, [this, images = std::move(images), done = std::move(done)](Status released) mutable {
        if (!released) return done(std::move(released));
        ReleaseImages(std::move(images), std::move(done));
      });
}

void AgentBackend::Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) {
  if (request.extent() == pod::StatsRequest::CONTAINERS) {
    next().Stats(request, std::move(done));
    return;
  }
  next().Stats(request, [done = std::move(done)](Result<pod::StatsResponse> stats) mutable {
    if (!stats || !stats->stats().interfaces().empty()) return done(std::move(stats));
    auto netlink = Netlink::Open();
    auto interfaces =
        netlink ? ReadInterfaceStats(*netlink)
                : Result<std::vector<spec::InterfaceStats>>(tl::unexpected<Error>(netlink.error()));
    if (interfaces)
      for (const auto& one : *interfaces) *stats->mutable_stats()->add_interfaces() = one;
    done(std::move(stats));
  });
}

}  // namespace catamaran
