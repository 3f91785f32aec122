#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// Tells that something in some folders may have changed (inotify). A folder that is not there is
// waited for at its nearest ancestor. One thread at a time.
class FolderWatch {
 public:
  static Result<FolderWatch> Make();

  // Watches these from now on; call it again after each change, before looking at the folders.
  // False where one cannot be watched, so that somebody has to look now and then.
  bool Watch(const std::vector<HostPath>& folders);
  // Readable after a change.
  int fd() const { return inotify_.get(); }
  // Forgets what was said so far.
  void Drain();

 private:
  explicit FolderWatch(UniqueFd inotify) : inotify_(std::move(inotify)) {}
  UniqueFd inotify_;
  std::vector<int> watches_;
};

}  // namespace catamaran
