#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/volume_control.h"

namespace catamaran {

// The shim's handle on its pod's volume server: a confined child process that answers the FUSE
// requests which the guest's pump sends over a second channel. It sees exactly the files and
// folders given to AddVolume, by descriptors of detached mounts: no path of the host can be
// resolved in it.
//
// A server that is killed, or fails, is started anew with the same volumes: what the guest has open
// gives errors (EBADF, ESTALE), what it opens from then on works. One that keeps failing is given
// up.
//
// Lives on the event loop's thread. The child dies with its parent; destroying this kills it.
class VolumeServer {
 public:
  static constexpr int kMostRestarts = 5;
  struct Options {
    // That of the channel, shared with the guest's pump (volume_channel.h).
    std::string secret;
    // Called once if the server ends without having been asked to and is not started anew: the
    // channel is at its end, or it failed kMostRestarts times within a minute.
    UniqueFunction<void()> on_exit;
  };
  // `stream` is the host's end of the channel (QEMU's chardev socket). Forks: the calling process
  // must have one thread.
  static Result<std::unique_ptr<VolumeServer>> Start(EventLoop& loop, UniqueFd stream,
                                                     Options options);
  ~VolumeServer();

  struct Volume {
    HostPath path;  // a file or a folder; symlinks are followed
    bool readonly = false;
    bool recursive_readonly = false;  // also what is mounted below it
    bool watched = false;             // the guest is told when names in the folder change
  };
  // Opens the path in a short-lived child (a path may lead to a disk or network that hangs), gives
  // it to the server and completes with the name it has below the guest's mount point. kNotFound
  // where the path does not exist; the server's own reason where it cannot take the volume, such as
  // kResourceExhausted where its guest has too many files open. What is the same file or folder
  // with the same access as a volume that is there already has that one's name.
  void AddVolume(const Volume& volume, UniqueFunction<void(Result<std::string>)> done);
  // Once for each AddVolume that gave this name; with the last it goes stale. Unknown ones are
  // ignored.
  void RemoveVolume(const std::string& name);

  pid_t pid() const { return process_.pid; }

 private:
  VolumeServer(EventLoop& loop, UniqueFd stream, Options options);
  Status StartProcess();
  Result<ChildProcess> CloneServer(const UniqueFd& control, bool user_namespace);
  void OnExit();
  bool MayRestart();
  struct Added {
    UniqueFd root;
    bool watched = false;
    uint32_t access = 0;
    int users = 1;
  };
  void Opened(uint64_t volume, Added added, Result<UniqueFd> mount);
  void TellOf(uint64_t volume);
  void Tell(const VolumeCommand& command);
  void SendUnsent();
  void OnAnswer();
  void Complete(uint64_t volume, Result<std::string> result);

  struct Pending {
    UniqueFunction<void(Result<std::string>)> done;
    std::unique_ptr<ChildTask> opener;
  };

  EventLoop& loop_;
  UniqueFd stream_;
  ChildProcess process_;
  uint64_t incarnation_ = 0;
  std::vector<std::chrono::steady_clock::time_point> restarts_;
  bool ended_ = false;
  UniqueFd control_;
  Options options_;
  EventLoop::Watch exit_watch_;
  EventLoop::Watch answer_watch_;
  std::map<uint64_t, Pending> pending_;
  std::map<uint64_t, Added> volumes_;
  // What the server, busy or stopped, has no room for yet. The next server begins with volumes_.
  std::deque<VolumeCommand> unsent_;
  uint64_t next_volume_ = 0;
};

}  // namespace catamaran
