#include "vm-backend/volumes/volume_watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <string>

namespace catamaran {

void VolumeWatcher::Watch(uint64_t volume, int root_fd) {
  if (!inotify_.valid()) inotify_.Reset(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_.valid()) return;
  const std::string entry = std::to_string(root_fd);
  const int watch =
      inotify_add_watch(inotify_.get(), entry.c_str(),
                        IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);
  if (watch >= 0) watches_[volume] = watch;
}

void VolumeWatcher::Unwatch(uint64_t volume) {
  const auto found = watches_.find(volume);
  if (found == watches_.end()) return;
  const int watch = found->second;
  watches_.erase(found);
  // Two volumes of the same folder have one watch between them.
  for (const auto& [other, its] : watches_)
    if (its == watch) return;
  inotify_rm_watch(inotify_.get(), watch);
}

bool VolumeWatcher::Drain() {
  alignas(inotify_event) char events[16 << 10];
  bool changed = false;
  while (read(inotify_.get(), events, sizeof events) > 0) changed = true;
  return changed;
}

}  // namespace catamaran
