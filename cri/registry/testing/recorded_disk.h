#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// An ext4 on a disk that logs every write and every flush, so that a test can have it back as a
// power cut at any moment would have left it: flushed writes are there, of the others nobody knows.
// A loop device over a file of a FUSE server, which is a process of its own: this program, started
// with kServerArgument. Needs root, and a mount namespace of the test's own.
class RecordedDisk {
 public:
  static constexpr char kServerArgument[] = "--serve-disk";
  // The server's main: argv after kServerArgument.
  static int Serve(const std::string& folder);

  // `folder`: empty, of the caller. The file system is mounted at folder/mounted.
  static Result<std::unique_ptr<RecordedDisk>> Create(const std::filesystem::path& folder);
  ~RecordedDisk();
  RecordedDisk(const RecordedDisk&) = delete;
  RecordedDisk& operator=(const RecordedDisk&) = delete;

  std::filesystem::path mounted() const { return folder_ / "mounted"; }
  // Flushes so far.
  size_t flushes() const;
  Status Unmount();

  // Writes to `image` the disk as it was left when the power went before flush number
  // `flushes` + 1. `seed` chooses which of the writes after the last flush it had already made; 0:
  // none.
  Status Rebuild(size_t flushes, uint32_t seed, const std::filesystem::path& image) const;

 private:
  RecordedDisk(std::filesystem::path folder, pid_t server)
      : folder_(std::move(folder)), server_(server) {}

  const std::filesystem::path folder_;
  pid_t server_;
  bool is_mounted_ = false;
};

// Runs a program to its end; kInternal where it fails.
Status RunTool(const std::vector<std::string>& arguments);

}  // namespace catamaran
