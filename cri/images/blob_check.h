#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
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

// A file as it was when it was found whole: what was written to or put in its place since has
// another stamp. nullopt where there is no file.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_ns = 0, changed_ns = 0;

  // File systems' clocks are coarse: another write so soon may leave the same stamp.
  bool IsRecent() const;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};
std::optional<FileStamp> StampOf(const HostPath& path);

// Reads blobs in the background, when the disk has nothing better to do, and tells of those that
// are damaged. Ends with this object.
class BlobCheck {
 public:
  ~BlobCheck();
  // `path_of` and `damaged` are called from a thread of its own; `done` after the last blob, if it
  // came that far and could look at all of them. Once.
  void Start(std::map<std::string, BlobRecord> blobs,
             std::function<HostPath(const std::string& diff_id)> path_of,
             std::function<void(const std::string& diff_id, const Error& why)> damaged,
             std::function<void()> done);

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace catamaran
