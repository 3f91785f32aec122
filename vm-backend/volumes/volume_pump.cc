#include "vm-backend/volumes/volume_pump.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>

#include <chrono>

#include "sandbox/base/files.h"
#include "vm-backend/volumes/fuse_request.h"
#include "vm-backend/volumes/pump_process.h"

namespace catamaran {
namespace {

// A pump that cannot stay must not take the guest's CPU.
constexpr auto kBetweenSessions = std::chrono::milliseconds(50);

}  // namespace

Result<std::unique_ptr<VolumePump>> VolumePump::Start(EventLoop& loop, UniqueFd port,
                                                      const GuestPath& mountpoint,
                                                      const std::string& secret, int changed) {
  std::unique_ptr<VolumePump> pump(new VolumePump(loop, std::move(port), secret, changed));
  ASSIGN_OR_RETURN(pump->ledger_, SharedLedger::Make());
  RETURN_IF_ERROR(pump->Mount(mountpoint));
  if (auto begun = pump->BeginSession(); !begun) {
    umount2(mountpoint.c_str(), MNT_DETACH);
    return tl::unexpected<Error>(std::move(begun).error());
  }
  return pump;
}

VolumePump::~VolumePump() {
  End(requests_);
  End(replies_);
}

Status VolumePump::Mount(const GuestPath& mountpoint) {
  ASSIGN_OR_RETURN(fuse_, OpenFile("/dev/fuse", O_RDWR));
  const std::string options = fmt::format(
      "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,"
      "max_read={}",
      fuse_.get(), kMaxFuseTransfer);
  if (mount("catamaran-volumes", mountpoint.c_str(), "fuse", MS_NOSUID | MS_NODEV,
            options.c_str()) != 0)
    return FailWithErrno("mount fuse at {}", mountpoint.string());
  return {};
}

Status VolumePump::BeginSession() {
  ++session_;
  const PumpEnds ends{fuse_.get(), port_.get(), changed_, &*ledger_, &framing_, session_};
  const struct {
    Half& half;
    int (*body)(const PumpEnds&);
  } halves[] = {{requests_, PumpRequests}, {replies_, PumpReplies}};
  for (const auto& [half, body] : halves) {
    ASSIGN_OR_RETURN(half.process, CloneProcess({.dies_with_parent = true},
                                                [&ends, body = body] { return body(ends); }));
    ASSIGN_OR_RETURN(half.watch, loop_.WatchProcess(half.process.pidfd.get(),
                                                    [this, &half = half] { OnExit(half); }));
  }
  return {};
}

void VolumePump::End(Half& half) {
  half.watch.Cancel();
  if (half.process.pidfd.valid()) (void)KillAndReap(half.process.pidfd.get());
  half.process = {};
}

// One without the other has lost its place.
void VolumePump::OnExit(Half& ended) {
  const auto end = ReapChild(ended.process.pidfd.get());
  const bool unmounted = end && *end && (*end)->signal == 0 && (*end)->exit_code == kPumpUnmounted;
  ended.watch.Cancel();
  ended.process = {};
  End(&ended == &requests_ ? replies_ : requests_);
  if (!unmounted) BeginAgain();
}

void VolumePump::BeginAgain() {
  auto timer = loop_.RunAfter(kBetweenSessions, [this] {
    if (BeginSession()) return;
    End(requests_);
    End(replies_);
    BeginAgain();
  });
  if (timer) again_ = std::move(*timer);
}

}  // namespace catamaran
