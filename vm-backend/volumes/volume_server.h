#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// The shim's handle on its pod's volume server: a confined child process that answers the FUSE
// requests which the guest's pump sends over a second channel. It sees exactly the files and
// folders given to AddVolume, by descriptors of detached mounts: no path of the host can be
// resolved in it.
//
// Lives on the event loop's thread. The child dies with its parent; destroying this kills it.
class VolumeServer {
 public:
  struct Options {
    // Called once if the server ends without having been asked to.
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
  };
  // Opens the path in a short-lived child (a path may lead to a disk or network that hangs), gives
  // it to the server and completes with the name it has below the guest's mount point. kNotFound
  // where the path does not exist.
  void AddVolume(const Volume& volume, UniqueFunction<void(Result<std::string>)> done);
  // Names already handed out go stale. Unknown ones are ignored.
  void RemoveVolume(const std::string& name);

  pid_t pid() const { return process_.pid; }

 private:
  VolumeServer(EventLoop& loop, ChildProcess process, UniqueFd control, Options options);
  Status Watch();
  void OnAnswer();
  void Complete(uint64_t volume, Result<std::string> result);

  struct Pending {
    UniqueFunction<void(Result<std::string>)> done;
    std::unique_ptr<ChildTask> opener;
  };

  EventLoop& loop_;
  ChildProcess process_;
  bool ended_ = false;
  UniqueFd control_;
  Options options_;
  EventLoop::Watch exit_watch_;
  EventLoop::Watch answer_watch_;
  std::map<uint64_t, Pending> pending_;
  uint64_t next_volume_ = 0;
};

}  // namespace catamaran
