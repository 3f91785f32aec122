#include "vm-backend/agent/guest_disks.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr auto kPollInterval = std::chrono::milliseconds(20);
constexpr char kImages[] = "/run/catamaran/images/";

struct Disk {
  std::string device;
  uint64_t bytes = 0;
};

// The unit serial number page of SCSI (SPC-4, 7.8.15): 4 bytes of header, then the text.
std::optional<Disk> LookUp(const std::string& serial) {
  const auto devices = ListDirectory("/sys/block");
  for (const std::string& device : devices ? *devices : std::vector<std::string>()) {
    const std::string folder = "/sys/block/" + device;
    const auto page = ReadFile(folder + "/device/vpd_pg80", 256);
    if (!page || page->size() < 4 || page->substr(4) != serial) continue;
    const auto sectors = ReadFile(folder + "/size", 64);
    if (!sectors || !Exists("/dev/" + device)) return std::nullopt;
    const uint64_t bytes = std::strtoull(sectors->c_str(), nullptr, 10) * 512;
    if (bytes == 0) return std::nullopt;  // its capacity was not read yet
    return Disk{device, bytes};
  }
  return std::nullopt;
}

Status MountDisk(const std::string& device, const std::string& target, const char* type,
                 unsigned long flags, const char* options) {
  RETURN_IF_ERROR(MakeDirectories(target, 0755));
  const std::string node = "/dev/" + device;
  // A disk shows before its driver lets it be opened.
  for (int tries = 0; mount(node.c_str(), target.c_str(), type, flags, options) != 0; ++tries) {
    if (errno != ENXIO || tries == 500)
      return FailWithErrno("mount {} ({}) on {}", node, type, target);
    usleep(10'000);
  }
  AbortStep();
  return {};
}

std::string ImageFolder(const std::string& serial) { return kImages + serial; }

bool IsPlainName(const std::string& serial) {
  return !serial.empty() &&
         serial.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}

}  // namespace

GuestDisks::GuestDisks(EventLoop& loop) : loop_(loop) {
  uevents_ =
      UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;  // from the kernel
  // Without the announcements the timer finds disks too, a little later.
  if (!uevents_.valid() ||
      bind(uevents_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return;
  auto watch = loop.WatchFd(uevents_.get(), EPOLLIN, [this](uint32_t) {
    char buffer[8192];
    while (recv(uevents_.get(), buffer, sizeof buffer, 0) > 0) {
    }
    SearchAgain();
  });
  if (watch) uevent_watch_ = std::move(*watch);
}

GuestDisks::~GuestDisks() = default;

void GuestDisks::FindDisk(const std::string& serial, uint64_t capacity,
                          Completion<std::string> found) {
  searches_.push_back(
      {serial, capacity, std::chrono::steady_clock::now() + kPatience, std::move(found)});
  SearchAgain();
}

void GuestDisks::SearchAgain() {
  std::vector<UniqueFunction<void()>> reports;
  for (auto search = searches_.begin(); search != searches_.end();) {
    const auto disk = LookUp(search->serial);
    if (!disk && std::chrono::steady_clock::now() < search->give_up) {
      ++search;
      continue;
    }
    Result<std::string> result =
        Fail(ErrorCode::kNotFound, "no disk with the serial \"{}\" appeared", search->serial);
    if (disk) result = disk->device;
    if (disk && search->capacity != 0 && search->capacity != disk->bytes)
      result = Fail(ErrorCode::kDataLoss, "the disk \"{}\" has {} bytes, its files {}",
                    search->serial, disk->bytes, search->capacity);
    reports.push_back([found = std::move(search->found), result]() mutable { found(result); });
    search = searches_.erase(search);
  }
  timer_.Cancel();
  if (!searches_.empty())
    if (auto timer = loop_.RunAfter(kPollInterval, [this] { SearchAgain(); }))
      timer_ = std::move(*timer);
  for (auto& report : reports) report();
}

void GuestDisks::RunTask(UniqueFunction<Status()> work, Done done) {
  const uint64_t id = next_task_++;
  tasks_[id] = ChildTask::Start(loop_, std::move(work),
                                [this, id, done = std::move(done)](Status outcome) mutable {
                                  const auto ended = tasks_.extract(id);
                                  done(std::move(outcome));
                                });
}

void GuestDisks::AcquireImage(const std::string& serial, uint64_t capacity,
                              Completion<GuestPath> done) {
  if (!IsPlainName(serial))
    return done(Fail(ErrorCode::kInvalidArgument, "disk serial \"{}\": not one of ours", serial));
  const auto [found, is_new] = images_.try_emplace(serial);
  Image& image = found->second;
  ++image.users;
  image.capacity = capacity;
  if (image.state == ImageState::kMounted) return done(GuestPath(ImageFolder(serial)));
  image.waiting.push_back(std::move(done));
  if (is_new) MountImage(serial);
}

void GuestDisks::MountImage(const std::string& serial) {
  images_[serial].state = ImageState::kMounting;
  FindDisk(serial, images_[serial].capacity, [this, serial](Result<std::string> device) {
    if (!device) return ImageMounted(serial, tl::unexpected<Error>(device.error()));
    RunTask(
        [serial, device = *device] {
          return MountDisk(device, ImageFolder(serial), "erofs", MS_RDONLY, nullptr);
        },
        [this, serial](Status mounted) { ImageMounted(serial, std::move(mounted)); });
  });
}

void GuestDisks::ImageMounted(const std::string& serial, Status mounted) {
  const auto found = images_.find(serial);
  if (found == images_.end()) return;
  auto waiting = std::move(found->second.waiting);
  found->second.waiting.clear();
  found->second.state = ImageState::kMounted;
  if (!mounted) images_.erase(found);
  for (auto& done : waiting) {
    if (mounted)
      done(GuestPath(ImageFolder(serial)));
    else
      done(tl::unexpected<Error>(mounted.error()));
  }
}

void GuestDisks::ReleaseImage(const std::string& serial, Done done) {
  const auto found = images_.find(serial);
  if (found == images_.end() || --found->second.users > 0) return done({});
  found->second.state = ImageState::kUnmounting;
  RunTask(
      [serial]() -> Status {
        if (umount2(ImageFolder(serial).c_str(), 0) != 0 && errno != EINVAL && errno != ENOENT)
          return FailWithErrno("unmount the image {}", serial);
        AbortStep();
        return RemoveIfExists(ImageFolder(serial));
      },
      [this, serial, done = std::move(done)](Status unmounted) mutable {
        // Somebody may want it again by now.
        if (images_[serial].users > 0)
          MountImage(serial);
        else
          images_.erase(serial);
        done(std::move(unmounted));
      });
}

void GuestDisks::FindDevice(const spec::Device& device, Completion<std::string> done) {
  if (!IsPlainName(device.disk_serial()))
    return done(Fail(ErrorCode::kInvalidArgument, "disk serial \"{}\": not one of ours",
                     device.disk_serial()));
  FindDisk(device.disk_serial(), 0,
           [device, done = std::move(done)](Result<std::string> found) mutable {
             if (!found) return done(tl::unexpected<Error>(std::move(found).error()));
             const std::string node = "/dev/" + *found;
             if (chown(node.c_str(), device.uid(), device.gid()) != 0 ||
                 chmod(node.c_str(), device.mode() & 0777) != 0)
               return done(FailWithErrno("give {} its owner and mode", node));
             done(node);
           });
}

void GuestDisks::MountWritable(const std::string& serial, const GuestPath& target, Done done) {
  FindDisk(serial, 0, [this, target, done = std::move(done)](Result<std::string> device) mutable {
    if (!device) return done(tl::unexpected<Error>(device.error()));
    RunTask(
        [target, device = *device] {
          // What mkfs left for later would be written to every pod's disk; and what is deleted
          // goes back to the host.
          return MountDisk(device, target.string(), "ext4", MS_NOATIME, "noinit_itable,discard");
        },
        std::move(done));
  });
}

}  // namespace catamaran
