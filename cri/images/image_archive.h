#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// One file of an image archive: a part of an open file, shared by whoever reads it.
struct ArchivePart {
  std::shared_ptr<const UniqueFd> file;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The files of an image archive by name: an OCI layout in a folder, or a tar of one or of
// `docker save`. Its names and contents are hostile: names never lead outside the archive, links
// are followed inside it only. Thread-safe once open.
class ImageArchive {
 public:
  virtual ~ImageArchive() = default;
  // nullopt where there is no regular file of that name.
  virtual Result<std::optional<ArchivePart>> Find(const std::string& name) const = 0;

  // The content of a small file. kNotFound where it is absent, kInvalidArgument where it is larger
  // than `limit`.
  Result<std::string> Read(const std::string& name, size_t limit) const;
};

// Opens a folder or a tar, recognised by what it is; a compressed tar is first unpacked into
// `scratch`, an open empty file (only then used). kInvalidArgument where it is neither.
Result<std::unique_ptr<ImageArchive>> OpenImageArchive(const HostPath& source, UniqueFd scratch,
                                                       Deadline deadline);

}  // namespace catamaran
