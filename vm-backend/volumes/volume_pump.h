#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/request_ledger.h"
#include "vm-backend/volumes/volume_channel.h"

namespace catamaran {

// The guest's half of volumes: FUSE, mounted at a folder, and the pump, two small processes that
// carry /dev/fuse to the port and back. They are processes of their own, never
// out-of-memory-killed, with their memory locked: an agent that pumped itself would wait for itself
// at its first path lookup there.
//
// Where one of them is killed, or the server on the host was and has come back, both are started
// anew for the next session of the channel (volume_channel.h): what was asked and not answered by
// then fails with EIO, what is asked from then on is served. Lives on the loop's thread, and needs
// it to come back; destroying it ends the pump and leaves the mount, where nothing answers then.
class VolumePump {
 public:
  // `port` is the second virtio-serial port (or a stream socket in tests); `secret` that of the
  // channel. `changed`, a pipe's end that does not block or -1, gets a byte whenever the server
  // says that a watched volume has changed; it stays the caller's. Forks, so the calling process
  // must have one thread.
  static Result<std::unique_ptr<VolumePump>> Start(EventLoop& loop, UniqueFd port,
                                                   const GuestPath& mountpoint,
                                                   const std::string& secret, int changed = -1);
  ~VolumePump();

  pid_t requests() const { return requests_.process.pid; }  // /dev/fuse -> port
  pid_t replies() const { return replies_.process.pid; }    // port -> /dev/fuse
  uint64_t session() const { return session_; }

 private:
  struct Half {
    ChildProcess process;
    EventLoop::Watch watch;
  };
  VolumePump(EventLoop& loop, UniqueFd port, const std::string& secret, int changed)
      : loop_(loop), port_(std::move(port)), framing_(secret), changed_(changed) {}
  Status Mount(const GuestPath& mountpoint);
  Status BeginSession();
  void BeginAgain();
  void OnExit(Half& ended);
  static void End(Half& half);

  EventLoop& loop_;
  UniqueFd fuse_;
  UniqueFd port_;
  const VolumeFraming framing_;
  const int changed_;
  SharedLedger ledger_;
  uint64_t session_ = 0;
  Half requests_, replies_;
  EventLoop::Watch again_;
};

}  // namespace catamaran
