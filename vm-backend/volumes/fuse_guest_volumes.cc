#include "vm-backend/volumes/fuse_guest_volumes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>

#include "sandbox/base/files.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/guest_volume_folders.h"
#include "vm-backend/volumes/volume_pump.h"

namespace catamaran {
namespace {

// The kubelet itself looks at its volumes about once a minute. What the server's word did not
// reach is found then.
constexpr int kRefreshMs = 60'000;

// The body of the process that keeps the mirrors: a byte in the pipe says that something changed.
int KeepMirrors(const GuestVolumeFolders& folders, int changed) {
  prctl(PR_SET_NAME, "volumes-mirror", 0, 0, 0);
  CloseDescriptorsExcept({0, 1, 2, changed});
  while (true) {
    pollfd word{changed, POLLIN, 0};
    poll(&word, 1, kRefreshMs);
    char bytes[4096];
    while (read(changed, bytes, sizeof bytes) > 0) {
    }
    if (auto refreshed = folders.RefreshMirrors(); !refreshed)
      fprintf(stderr, "catamaran-agent: %s\n", refreshed.error().message.c_str());
  }
}

class FuseGuestVolumes final : public GuestVolumes {
 public:
  FuseGuestVolumes(EventLoop& loop, const GuestPath& base) : loop_(loop), folders_(base) {}
  ~FuseGuestVolumes() override {
    mirror_watch_.Cancel();
    if (mirror_.pidfd.valid()) (void)KillAndReap(mirror_.pidfd.get());
  }

  Status Start(UniqueFd port, const std::string& secret) override {
    ASSIGN_OR_RETURN(changed_, MakePipe(O_NONBLOCK));
    RETURN_IF_ERROR(MakeDirectories(folders_.served().value()));
    ASSIGN_OR_RETURN(pump_, VolumePump::Start(loop_, std::move(port), folders_.served(), secret,
                                              changed_.write_end.get()));
    return folders_.MakeMirrorFolder();
  }

  GuestPath PathOf(const std::string& container, int index,
                   const spec::Mount& mount) const override {
    return folders_.PathOf(container, index, mount);
  }
  Status Prepare(const std::string& container, int index, const spec::Mount& mount) override {
    return folders_.Prepare(container, index, mount);
  }
  void OnPrepared(const spec::Mount& mount) override {
    if (mount.guest().kind() != spec::GuestVolume::MIRRORED) return;
    StartMirror();
    // What changed between the first copy and now.
    [[maybe_unused]] const ssize_t written = write(changed_.write_end.get(), "c", 1);
  }
  Status Release(const spec::ContainerSpec& container) override {
    return folders_.Release(container);
  }

 private:
  // One that cannot be started is tried again with the next volume.
  void StartMirror() {
    if (mirror_.pidfd.valid()) return;
    auto started = CloneProcess({.dies_with_parent = true},
                                [this] { return KeepMirrors(folders_, changed_.read_end.get()); });
    if (!started) return;
    mirror_ = std::move(*started);
    auto watch = loop_.WatchProcess(mirror_.pidfd.get(), [this] {
      (void)ReapChild(mirror_.pidfd.get());
      mirror_watch_.Cancel();
      mirror_ = {};
      StartMirror();
    });
    if (watch) mirror_watch_ = std::move(*watch);
  }

  EventLoop& loop_;
  const GuestVolumeFolders folders_;
  Pipe changed_;
  std::unique_ptr<VolumePump> pump_;
  ChildProcess mirror_;
  EventLoop::Watch mirror_watch_;
};

}  // namespace

std::unique_ptr<GuestVolumes> MakeFuseGuestVolumes(EventLoop& loop, const GuestPath& base) {
  return std::make_unique<FuseGuestVolumes>(loop, base);
}

}  // namespace catamaran
