#include "vm-backend/volumes/fuse_guest_volumes.h"

#include "sandbox/base/files.h"
#include "vm-backend/volumes/volume_pump.h"

namespace catamaran {
namespace {

class FuseGuestVolumes final : public GuestVolumes {
 public:
  explicit FuseGuestVolumes(GuestPath mountpoint) : mountpoint_(std::move(mountpoint)) {}

  Status Start(UniqueFd port) override {
    RETURN_IF_ERROR(MakeDirectories(mountpoint_.value()));
    ASSIGN_OR_RETURN([[maybe_unused]] const VolumePump pump,
                     StartVolumePump(std::move(port), mountpoint_));
    return {};
  }
  GuestPath mountpoint() const override { return mountpoint_; }

 private:
  const GuestPath mountpoint_;
};

}  // namespace

std::unique_ptr<GuestVolumes> MakeFuseGuestVolumes(const GuestPath& mountpoint) {
  return std::make_unique<FuseGuestVolumes>(mountpoint);
}

}  // namespace catamaran
