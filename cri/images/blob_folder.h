#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "cri/images/image_index.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A file that is being written: removed when destroyed, unless it was put in its place.
class TemporaryFile {
 public:
  TemporaryFile(std::filesystem::path path, UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  int fd() const { return fd_.get(); }
  // fsync, rename, fsync of the folder: afterwards the file is there, whole, even after a power
  // cut.
  Status MoveTo(const std::filesystem::path& target);
  // Gives the descriptor up and removes the name now: the file lives as long as the descriptor.
  UniqueFd Anonymous() &&;

 private:
  std::filesystem::path path_;
  UniqueFd fd_;
};

// The files of an image store: blobs/<hex of diffID>.erofs, merged/<hex of image id>.<kind>.erofs,
// partial/ (see PartialLayers) and tmp/ for what is being written. Thread-safe.
class BlobFolder {
 public:
  // Makes the folders (0700) and empties tmp/.
  static Result<BlobFolder> Open(const HostPath& root);

  Result<TemporaryFile> CreateTemporary(const std::string& name) const;
  HostPath PartialFolder() const { return root_ / "partial"; }
  HostPath BlobPath(const std::string& diff_id) const;
  HostPath MergedPath(const ImageIndex::MergedFile& file) const;
  Status RemoveBlob(const std::string& diff_id) const;
  Status RemoveMerged(const ImageIndex::MergedFile& file) const;
  // Removes every file that is not named here: what a crash left behind.
  Status KeepOnly(const std::set<std::string>& diff_ids,
                  const std::set<ImageIndex::MergedFile>& merged) const;

  struct Usage {
    uint64_t used_bytes = 0;
    uint64_t inodes = 0;
  };
  Result<Usage> Measure() const;
  const HostPath& root() const { return root_; }

 private:
  explicit BlobFolder(HostPath root) : root_(std::move(root)) {}

  HostPath root_;
};

// Whether a regular file of exactly this size is at `path`.
bool HasSize(const HostPath& path, uint64_t size_bytes);

}  // namespace catamaran
