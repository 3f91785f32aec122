#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// Where a guest's volumes are, and those that live in its own memory. Everything but PathOf may
// block.
class GuestVolumeFolders {
 public:
  // `base` is a folder of ours; below it "volumes", where the channel is mounted by whom it
  // concerns, "mirrors", "memory" and "parts".
  explicit GuestVolumeFolders(GuestPath base) : base_(std::move(base)) {}

  GuestPath served() const { return base_ / "volumes"; }
  GuestPath mirrors() const { return base_ / "mirrors"; }

  GuestPath PathOf(const std::string& container, int index, const spec::Mount& mount) const;

  // The folder of the mirrors: a tmpfs with a limit of its own.
  Status MakeMirrorFolder() const;
  // A mirrored volume's first copy; a volume in memory, mounted by the first who asks, and the part
  // of it that is asked for. Nothing for a served one.
  Status Prepare(const std::string& container, int index, const spec::Mount& mount) const;
  Status Release(const spec::ContainerSpec& container) const;
  // Brings every mirror up to date. One that fails stays as it is; the others are done all the
  // same, and the last failure is returned.
  Status RefreshMirrors() const;

 private:
  Status PrepareMemory(const std::string& container, int index, const spec::Mount& mount) const;

  const GuestPath base_;
};

}  // namespace catamaran
