#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "cri/images/image_index.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// kDataLoss where the file is not what the record says, kNotFound where there is none, kAborted
// where `stop` said so. Reads all of it.
Status VerifyBlob(const HostPath& path, const BlobRecord& record,
                  const std::function<bool()>& stop = {});

// Reads blobs in the background, when the disk has nothing better to do, and tells of those that
// are damaged. Ends with this object.
class BlobCheck {
 public:
  ~BlobCheck();
  // `path_of` and `damaged` are called from a thread of its own; `done` after the last blob, if it
  // came that far. Once.
  void Start(std::map<std::string, BlobRecord> blobs,
             std::function<HostPath(const std::string& diff_id)> path_of,
             std::function<void(const std::string& diff_id, const Error& why)> damaged,
             std::function<void()> done);

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace catamaran
