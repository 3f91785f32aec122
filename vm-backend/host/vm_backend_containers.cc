// Containers of the vm hull: host words into guest words, and back when a container goes.

#include <chrono>

#include "sandbox/base/trace.h"
#include "vm-backend/host/vm_backend.h"
#include "vm-backend/host/vm_refusals.h"

namespace catamaran {
namespace {

// The root file systems of a container that have to become disks.
std::vector<spec::RootfsSpec*> Images(spec::ContainerSpec& container) {
  std::vector<spec::RootfsSpec*> images = {container.mutable_rootfs()};
  for (spec::Mount& mount : *container.mutable_mounts())
    if (mount.has_image()) images.push_back(mount.mutable_image()->mutable_rootfs());
  return images;
}

// What remains for the guest: the sizes, which tell it the disk's, but no path of the host.
void BecomeDisk(spec::RootfsSpec& rootfs, const std::string& serial) {
  rootfs.set_disk_serial(serial);
  rootfs.clear_merged_metadata();
  rootfs.clear_writable_directory();
  for (auto& layer : *rootfs.mutable_layers()) layer.clear_blob();
}

Error RemovedMeanwhile() {
  return {ErrorCode::kAborted, 0, "the container was removed while it was being created"};
}

}  // namespace

void VmBackend::CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                                Completion<pod::CreateContainerResponse> done) {
  if (auto usable = Unusable(); !usable) return done(tl::unexpected<Error>(usable.error()));
  const std::string id = request.container().container_id();
  if (containers_.contains(id) || creating_.contains(id))
    return done(Fail(ErrorCode::kAlreadyExists, "container {} exists", id));
  if (!machine_->shares_host_files())
    if (auto refused = RefuseContainer(request.container()); !refused)
      return done(tl::unexpected<Error>(std::move(refused).error()));
  creating_[id] = request.container();
  containers_[id].status.set_container_id(id);
  if (machine_->shares_host_files()) return HandOver(id, std::move(stdio), std::move(done));
  creating_[id].clear_log_path();
  if (!creating_[id].has_hooks()) creating_[id].clear_annotations();
  Done finish = [this, id, stdio = std::move(stdio),
                 done = std::move(done)](Status shared) mutable {
    if (shared) return HandOver(id, std::move(stdio), std::move(done));
    GiveBack(id, [done = std::move(done), error = shared.error()](Status) mutable {
      done(tl::unexpected<Error>(std::move(error)));
    });
  };
  Done devices_given = [this, id, finish = std::move(finish)](Status devices) mutable {
    if (!devices) return finish(std::move(devices));
    ShareMounts(id, AsStep("mounts shared", std::move(finish)));
  };
  Done images_attached = [this, id, next = std::move(devices_given)](Status attached) mutable {
    if (!attached) return next(std::move(attached));
    AttachDevices(id, AsStep("devices attached", std::move(next)));
  };
  AttachImages(id, AsStep("images attached", std::move(images_attached)));
}

void VmBackend::AttachDevices(const std::string& id, Done done) {
  for (spec::Device& device : *creating_[id].mutable_devices()) {
    if (!device.disk_serial().empty()) continue;
    return devices_->Acquire(
        device, [this, id, &device, done = std::move(done)](Result<spec::Device> given) mutable {
          if (!given)
            return done(tl::unexpected<Error>(std::move(given).error().While("block device")));
          if (!creating_.contains(id)) {
            if (devices_ != nullptr) devices_->Release(given->disk_serial(), [](Status) {});
            return done(tl::unexpected<Error>(RemovedMeanwhile()));
          }
          containers_[id].devices.push_back(given->disk_serial());
          device = std::move(*given);
          AttachDevices(id, std::move(done));
        });
  }
  done({});
}

void VmBackend::AttachImages(const std::string& id, Done done) {
  // One after the other: what was not attached yet has no serial.
  for (spec::RootfsSpec* rootfs : Images(creating_[id])) {
    if (!rootfs->disk_serial().empty()) continue;
    const auto subject = rootfs == creating_[id].mutable_rootfs() ? ErrorSubject::kUnnamed
                                                                  : ErrorSubject::kImageVolume;
    return disks_->Acquire(*rootfs, [this, id, rootfs, subject,
                                     done = std::move(done)](Result<std::string> serial) mutable {
      if (!serial)
        return done(
            tl::unexpected<Error>(std::move(serial).error().While("image disk").About(subject)));
      if (!creating_.contains(id)) {
        if (disks_ != nullptr) disks_->Release(*serial, [](Status) {});
        return done(tl::unexpected<Error>(RemovedMeanwhile()));
      }
      containers_[id].images.push_back(*serial);
      BecomeDisk(*rootfs, *serial);
      AttachImages(id, std::move(done));
    });
  }
  done({});
}

void VmBackend::ShareMounts(const std::string& id, Done done) {
  for (spec::Mount& mount : *creating_[id].mutable_mounts()) {
    if (!mount.has_host_path()) continue;
    if (volumes_ == nullptr)
      return done(Fail(ErrorCode::kUnimplemented, "mount {}: this machine has no volume server",
                       mount.container_path()));
    return volumes_->Share(
        ContainerId(id), mount,
        [this, id, &mount, done = std::move(done)](Result<SharedVolume> shared) mutable {
          if (!shared)
            return done(tl::unexpected<Error>(
                std::move(shared).error().While("mount " + mount.container_path())));
          if (!creating_.contains(id)) return done(tl::unexpected<Error>(RemovedMeanwhile()));
          mount.set_volume_path(shared->path);
          *mount.mutable_guest() = shared->guest;
          ShareMounts(id, std::move(done));
        });
  }
  done({});
}

void VmBackend::HandOver(const std::string& id, Stdio stdio,
                         Completion<pod::CreateContainerResponse> done) {
  auto usable = creating_.contains(id) ? Unusable() : tl::unexpected<Error>(RemovedMeanwhile());
  if (!usable)
    return GiveBack(id, [done = std::move(done), error = usable.error()](Status) mutable {
      done(tl::unexpected<Error>(std::move(error)));
    });
  pod::CreateContainerRequest request;
  *request.mutable_container() = creating_[id];
  agent_->CreateContainer(
      request, std::move(stdio),
      [this, id, done = std::move(done)](Result<pod::CreateContainerResponse> created) mutable {
        if (!created)
          return GiveBack(id, [done = std::move(done), error = created.error()](Status) mutable {
            done(tl::unexpected<Error>(std::move(error)));
          });
        creating_.erase(id);
        if (!containers_.contains(id)) return done(tl::unexpected<Error>(RemovedMeanwhile()));
        spec::ContainerStatus& status = containers_[id].status;
        status.set_pid(created->pid());
        *status.mutable_user() = created->user();
        done(std::move(created));
      });
}

void VmBackend::StartContainer(const pod::StartContainerRequest& request,
                               Completion<pod::StartContainerResponse> done) {
  if (auto usable = Unusable(); !usable) return done(tl::unexpected<Error>(usable.error()));
  const std::string id = request.container_id();
  // An exit may be reported before the start is: it must find the container running.
  if (const auto found = containers_.find(id);
      found != containers_.end() && found->second.status.state() == spec::CREATED)
    found->second.status.set_state(spec::RUNNING);
  agent_->StartContainer(request, [this, id, done = std::move(done)](
                                      Result<pod::StartContainerResponse> started) mutable {
    const auto found = containers_.find(id);
    if (found != containers_.end() && started)
      found->second.status.set_started_at_ns(started->started_at_ns());
    if (found != containers_.end() && !started && found->second.status.state() == spec::RUNNING)
      found->second.status.set_state(spec::EXITED);
    done(std::move(started));
  });
}

void VmBackend::Signal(const pod::SignalRequest& request, Done done) {
  if (state_ == State::kGone) return done({});  // what it names has ended
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  agent_->Signal(request, std::move(done));
}

void VmBackend::RemoveContainer(const pod::RemoveContainerRequest& request, Done done) {
  const std::string id = request.container_id();
  if (state_ != State::kRunning) return GiveBack(id, std::move(done));
  agent_->RemoveContainer(request, [this, id, done = std::move(done)](Status removed) mutable {
    // A machine that ended meanwhile took the container with it.
    if (!removed && state_ == State::kRunning) return done(std::move(removed));
    GiveBack(id, std::move(done));
  });
}

void VmBackend::GiveBack(const std::string& id, Done done) {
  creating_.erase(id);
  if (volumes_ != nullptr) volumes_->Unshare(ContainerId(id));
  std::erase_if(execs_, [&](const auto& exec) { return exec.first == id; });
  const auto found = containers_.find(id);
  if (found == containers_.end()) return done({});
  const auto images = std::move(found->second.images);
  const auto devices = std::move(found->second.devices);
  containers_.erase(found);
  if (disks_ == nullptr || images.size() + devices.size() == 0) return done({});
  // Detached in parallel; the first failure is reported when all have ended.
  struct Pending {
    size_t left;
    Status result;
    Done done;
  };
  auto pending =
      std::make_shared<Pending>(Pending{images.size() + devices.size(), {}, std::move(done)});
  const auto detached = [pending](Status released) {
    if (!released && pending->result) pending->result = std::move(released);
    if (--pending->left == 0) pending->done(std::move(pending->result));
  };
  for (const std::string& serial : images) disks_->Release(serial, detached);
  for (const std::string& serial : devices) devices_->Release(serial, detached);
}

void VmBackend::Exec(const pod::ExecRequest& request, Stdio stdio,
                     Completion<pod::ExecResponse> done) {
  if (auto usable = Unusable(); !usable) return done(tl::unexpected<Error>(usable.error()));
  const std::pair<std::string, std::string> exec = {request.container_id(), request.exec_id()};
  execs_.insert(exec);
  agent_->Exec(request, std::move(stdio),
               [this, exec, done = std::move(done)](Result<pod::ExecResponse> started) mutable {
                 if (!started) execs_.erase(exec);
                 done(std::move(started));
               });
}

void VmBackend::CloseStdin(const pod::CloseStdinRequest& request, Done done) {
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  agent_->CloseStdin(request, std::move(done));
}

void VmBackend::ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) {
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  agent_->ResizeTerminal(request, std::move(done));
}

}  // namespace catamaran
