#pragma once

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A plugin lives on when the daemon that started it is killed, and a DEL must not overtake its ADD.
// So while plugins work on a pod there is a locked file of that pod, open in all of them: the next
// daemon finds it, and sees at the lock whether anybody still works.
class PluginGuard {
 public:
  // Makes the file; one that is there is replaced (see EndStrayPlugins). Callers work on one pod
  // one at a time.
  static Result<PluginGuard> Begin(const HostPath& file);
  PluginGuard(PluginGuard&&) = default;
  PluginGuard& operator=(PluginGuard&&) = delete;
  ~PluginGuard();  // every plugin that was started has ended: removes the file

  int fd() const { return fd_.get(); }  // for plugins to inherit

 private:
  PluginGuard(HostPath file, UniqueFd fd) : file_(std::move(file)), fd_(std::move(fd)) {}
  HostPath file_;
  UniqueFd fd_;
};

// Where another daemon left such a file: waits until its plugins have ended, kills them when they
// take more than a few seconds, and removes the file. No file is fine.
Status EndStrayPlugins(const HostPath& file, Deadline deadline);

}  // namespace catamaran
