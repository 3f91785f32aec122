#pragma once

#include <string>
#include <vector>

#include "cri/pods/record.pb.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The records in the run directory: <run>/pods/<pod id>/record and .../containers/<container id>.
// A record is replaced atomically, so its reader sees the old or the new one. Immutable and
// thread-safe; two writers of one record are the caller's to keep apart.
class RecordStore {
 public:
  static constexpr uint32_t kFormatVersion = 1;

  // boot_id: of this boot, written into every new record.
  RecordStore(const HostPath& run, std::string boot_id)
      : pods_(run / "pods"), boot_id_(std::move(boot_id)) {}

  const std::string& boot_id() const { return boot_id_; }
  HostPath PodFolder(const PodId& pod) const { return pods_ / pod.value(); }

  // Makes the pod's folder (0700) too.
  Status Save(const record::PodRecord& record) const;
  Status Save(const record::ContainerRecord& record) const;
  Status RemoveContainer(const PodId& pod, const ContainerId& container) const;
  // The record last: a crash in between leaves one that says what is being removed.
  Status RemovePod(const PodId& pod) const;

  struct StoredPod {
    record::PodRecord pod;
    std::vector<record::ContainerRecord> containers;
  };
  struct Stored {
    std::vector<StoredPod> pods;
    // Folders without a record (a machine that waited for its pod, or a crash before the first
    // one) and those whose record cannot be read (damage, or a newer format): their names. What
    // they may own is to be ended and swept.
    std::vector<std::string> without_record;
    std::vector<std::string> unreadable;
  };
  Result<Stored> LoadAll() const;

 private:
  HostPath RecordPath(const PodId& pod) const { return PodFolder(pod) / "record"; }
  HostPath ContainerPathOf(const PodId& pod, const std::string& container) const {
    return PodFolder(pod) / "containers" / container;
  }

  HostPath pods_;
  std::string boot_id_;
};

}  // namespace catamaran
