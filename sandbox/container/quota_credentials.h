#pragma once

#include "sandbox/base/result.h"

namespace catamaran {

// Takes CAP_SYS_RESOURCE out of the calling thread's effective set while an overlay is mounted over
// a folder that has a quota, and puts it back when destroyed. Overlayfs writes with the credentials
// of who mounted it, and a quota does not count for who has that capability (quotactl(2)): without
// this no container would ever meet its limit.
class QuotaCredentials {
 public:
  // `upper_fd`: the overlay's upper folder; nothing happens where it belongs to no project.
  static Result<QuotaCredentials> For(int upper_fd);
  QuotaCredentials(QuotaCredentials&& other) noexcept : dropped_(other.dropped_) {
    other.dropped_ = false;
  }
  QuotaCredentials& operator=(QuotaCredentials&&) = delete;
  ~QuotaCredentials();

 private:
  explicit QuotaCredentials(bool dropped) : dropped_(dropped) {}
  bool dropped_;
};

}  // namespace catamaran
