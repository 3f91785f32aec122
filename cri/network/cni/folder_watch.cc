#include "cri/network/cni/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Whole files only: what is being written is not looked at before it is closed.
constexpr uint32_t kChanges = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                              IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

Result<FolderWatch> FolderWatch::Make() {
  UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return FailWithErrno("inotify_init1");
  return FolderWatch(std::move(inotify));
}

bool FolderWatch::Watch(const std::vector<HostPath>& folders) {
  bool all = true;
  std::vector<int> watches;
  for (const auto& folder : folders) {
    std::filesystem::path path = folder.value();
    int watch = inotify_add_watch(inotify_.get(), path.c_str(), kChanges);
    while (watch < 0 && errno == ENOENT && path.has_relative_path()) {
      path = path.parent_path();
      watch = inotify_add_watch(inotify_.get(), path.c_str(), kChanges);
    }
    all = all && watch >= 0;
    watches.push_back(watch);
  }
  for (const int old : watches_)
    if (std::find(watches.begin(), watches.end(), old) == watches.end())
      inotify_rm_watch(inotify_.get(), old);
  watches_ = std::move(watches);
  return all;
}

void FolderWatch::Drain() {
  char events[16384];
  while (read(inotify_.get(), events, sizeof events) > 0) {
  }
}

}  // namespace catamaran
