#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// Disks that the host plugs into the running guest, known by their SCSI serial, and the file
// systems on them. Mounting happens in a child; nothing here blocks the loop.
class GuestDisks {
 public:
  explicit GuestDisks(EventLoop& loop);
  ~GuestDisks();

  // Mounts the image disk of this serial read-only and returns the folder; once per disk however
  // often it is asked for, each time to be undone by ReleaseImage. Waits for the disk to appear.
  // `capacity` is what the host says it laid end to end: a disk of another size would mount and
  // give wrong data, so it is refused (kDataLoss).
  void AcquireImage(const std::string& serial, uint64_t capacity, Completion<GuestPath> done);
  // Unmounts the image with its last user. Unknown serials are success.
  void ReleaseImage(const std::string& serial, Done done);

  // Waits for the disk of a block device to appear and gives its node, "/dev/sdb", the mode and the
  // owner that the host's has.
  void FindDevice(const spec::Device& device, Completion<std::string> done);

  // Mounts the disk for writable layers on `target`. Once.
  void MountWritable(const std::string& serial, const GuestPath& target, Done done);

  // Does what may block in a child. Its report is dropped when this is destroyed.
  void RunTask(UniqueFunction<Status()> work, Done done);

 private:
  enum class ImageState { kMounting, kMounted, kUnmounting };
  struct Image {
    ImageState state = ImageState::kMounting;
    int users = 0;
    uint64_t capacity = 0;
    std::vector<Completion<GuestPath>> waiting;
  };
  struct Search {
    std::string serial;
    uint64_t capacity = 0;  // 0: any
    std::chrono::steady_clock::time_point give_up;
    Completion<std::string> found;  // device, "sda"
  };

  void FindDisk(const std::string& serial, uint64_t capacity, Completion<std::string> found);
  void SearchAgain();
  void MountImage(const std::string& serial);
  void ImageMounted(const std::string& serial, Status mounted);

  EventLoop& loop_;
  UniqueFd uevents_;  // the kernel's own announcements
  EventLoop::Watch uevent_watch_;
  EventLoop::Watch timer_;
  std::list<Search> searches_;
  std::map<std::string, Image> images_;
  uint64_t next_task_ = 1;
  std::map<uint64_t, std::unique_ptr<ChildTask>> tasks_;
};

}  // namespace catamaran
