#include "vm-backend/volumes/served_volumes.h"

#include <map>
#include <vector>

#include "vm-backend/volumes/volume_server.h"

namespace catamaran {
namespace {

class ServedVolumes final : public HostVolumes {
 public:
  explicit ServedVolumes(std::unique_ptr<VolumeServer> server) : server_(std::move(server)) {}

  void Share(const ContainerId& container, const spec::Mount& mount,
             Completion<std::string> done) override {
    const VolumeServer::Volume volume{HostPath(mount.host_path()), mount.readonly(),
                                      mount.recursive_readonly()};
    server_->AddVolume(volume,
                       [this, container, done = std::move(done)](Result<std::string> name) mutable {
                         if (name) names_[container].push_back(*name);
                         done(std::move(name));
                       });
  }

  void Unshare(const ContainerId& container) override {
    const auto names = names_.extract(container);
    if (names.empty()) return;
    for (const std::string& name : names.mapped()) server_->RemoveVolume(name);
  }

 private:
  std::map<ContainerId, std::vector<std::string>> names_;
  std::unique_ptr<VolumeServer> server_;  // last: its destruction completes nothing
};

}  // namespace

Result<std::unique_ptr<HostVolumes>> MakeServedVolumes(EventLoop& loop, UniqueFd channel,
                                                       UniqueFunction<void()> on_lost) {
  VolumeServer::Options options;
  options.on_exit = std::move(on_lost);
  ASSIGN_OR_RETURN(auto server, VolumeServer::Start(loop, std::move(channel), std::move(options)));
  return std::unique_ptr<HostVolumes>(std::make_unique<ServedVolumes>(std::move(server)));
}

}  // namespace catamaran
