#include "vm-backend/host/block_devices.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/descriptor_task.h"

namespace catamaran {
namespace {

bool IsReadOnly(const spec::Device& device) {
  return !device.permissions().empty() && device.permissions().find('w') == std::string::npos;
}

Result<UniqueFd> OpenBlockDevice(const std::string& path, bool readonly) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return FailWithErrno("device {}", path);
  if (!S_ISBLK(status.st_mode))
    return Fail(ErrorCode::kInvalidArgument,
                "devices: {} is not a block device; no other device reaches into a VM", path);
  return OpenFile(path, (readonly ? O_RDONLY : O_RDWR) | O_NONBLOCK);
}

// What the guest gets: no path of the host.
spec::Device ForGuest(const spec::Device& device, const std::string& serial) {
  spec::Device guest = device;
  if (guest.container_path().empty()) guest.set_container_path(guest.host_path());
  guest.clear_host_path();
  guest.set_disk_serial(serial);
  return guest;
}

}  // namespace

void BlockDevices::Acquire(const spec::Device& device, Completion<spec::Device> done) {
  const uint64_t number = next_opener_++;
  auto shared = std::make_shared<Completion<spec::Device>>(std::move(done));
  openers_[number] = StartDescriptorTask(
      loop_,
      [path = device.host_path(), readonly = IsReadOnly(device)] {
        return OpenBlockDevice(path, readonly);
      },
      [this, number, device, shared](Result<UniqueFd> opened) {
        openers_.erase(number);
        Attach(device, std::move(opened), std::move(*shared));
      });
}

void BlockDevices::Attach(const spec::Device& device, Result<UniqueFd> opened,
                          Completion<spec::Device> done) {
  if (!opened) return done(tl::unexpected<Error>(std::move(opened).error()));
  struct stat status;
  if (fstat(opened->get(), &status) != 0 || !S_ISBLK(status.st_mode))
    return done(
        Fail(ErrorCode::kInvalidArgument, "devices: {} is not a block device", device.host_path()));
  spec::Device described = device;
  described.set_mode(status.st_mode & 0777);
  described.set_uid(status.st_uid);
  described.set_gid(status.st_gid);
  const bool readonly = IsReadOnly(device);
  disks_.Acquire(
      Key{status.st_rdev, readonly},
      [&](const std::string& serial, Done attached) {
        machine_.AttachDevice(std::move(*opened), serial, readonly, std::move(attached));
      },
      [described, done = std::move(done)](Result<std::string> serial) mutable {
        if (!serial) return done(tl::unexpected<Error>(std::move(serial).error()));
        done(ForGuest(described, *serial));
      });
}

void BlockDevices::Release(const std::string& serial, Done done) {
  disks_.Release(serial, std::move(done));
}

}  // namespace catamaran
