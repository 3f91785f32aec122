#include "vm-backend/volumes/served_volumes.h"

#include <map>
#include <vector>

#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/kubelet_volume.h"
#include "vm-backend/volumes/volume_server.h"

namespace catamaran {
namespace {

class ServedVolumes final : public HostVolumes {
 public:
  ServedVolumes(EventLoop& loop, std::unique_ptr<VolumeServer> server)
      : loop_(loop), server_(std::move(server)) {}

  void Share(const ContainerId& container, const spec::Mount& mount,
             Completion<SharedVolume> done) override {
    const auto volume = ParseKubeletPath(mount.host_path());
    if (!volume) return Serve(container, mount, {}, std::move(done));
    const uint64_t number = next_examination_++;
    auto shared_done = std::make_shared<Completion<SharedVolume>>(std::move(done));
    examinations_[number] = ChildTask::Start(
        loop_,
        [volume = *volume, mount]() -> Result<std::string> {
          ASSIGN_OR_RETURN(const spec::GuestVolume guest, ExamineKubeletVolume(volume, mount));
          return guest.SerializeAsString();
        },
        [this, number, container, mount, folder = EmptyDirFolder(*volume),
         shared_done](Result<std::string> examined) {
          examinations_.erase(number);
          spec::GuestVolume guest;
          if (examined && !guest.ParseFromString(*examined))
            examined = Fail(ErrorCode::kInternal, "what was found of a volume is unreadable");
          if (!examined) return (*shared_done)(tl::unexpected<Error>(std::move(examined).error()));
          if (guest.kind() == spec::GuestVolume::MEMORY)
            return (*shared_done)(SharedVolume{MemoryName(folder), guest});
          Serve(container, mount, guest, std::move(*shared_done));
        });
  }

  void Unshare(const ContainerId& container) override {
    const auto names = names_.extract(container);
    if (names.empty()) return;
    for (const std::string& name : names.mapped()) server_->RemoveVolume(name);
  }

 private:
  void Serve(const ContainerId& container, const spec::Mount& mount, const spec::GuestVolume& guest,
             Completion<SharedVolume> done) {
    const VolumeServer::Volume volume{HostPath(mount.host_path()), mount.readonly(),
                                      mount.recursive_readonly(),
                                      guest.kind() == spec::GuestVolume::MIRRORED};
    server_->AddVolume(
        volume, [this, container, guest, done = std::move(done)](Result<std::string> name) mutable {
          if (!name) return done(tl::unexpected<Error>(std::move(name).error()));
          names_[container].push_back(*name);
          done(SharedVolume{*name, guest});
        });
  }

  // An emptyDir in memory lives as long as the pod, whichever containers come and go.
  std::string MemoryName(const std::string& folder) {
    const auto [found, is_new] =
        memory_names_.try_emplace(folder, fmt::format("memory-{}", memory_names_.size()));
    return found->second;
  }

  EventLoop& loop_;
  std::map<ContainerId, std::vector<std::string>> names_;
  std::map<std::string, std::string> memory_names_;  // by the volume's folder
  uint64_t next_examination_ = 0;
  std::map<uint64_t, std::unique_ptr<ChildTask>> examinations_;
  std::unique_ptr<VolumeServer> server_;  // last: its destruction completes nothing
};

}  // namespace

Result<std::unique_ptr<HostVolumes>> MakeServedVolumes(EventLoop& loop, UniqueFd channel,
                                                       const std::string& secret,
                                                       UniqueFunction<void()> on_lost) {
  VolumeServer::Options options;
  options.secret = secret;
  options.on_exit = std::move(on_lost);
  ASSIGN_OR_RETURN(auto server, VolumeServer::Start(loop, std::move(channel), std::move(options)));
  return std::unique_ptr<HostVolumes>(std::make_unique<ServedVolumes>(loop, std::move(server)));
}

}  // namespace catamaran
