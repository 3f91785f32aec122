#include "cri/install/packed_disk.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kBlock = 64 << 10;

using Reader = std::unique_ptr<archive, decltype(&archive_read_free)>;

Status Failure(const Reader& reader, const HostPath& file) {
  const char* why = archive_error_string(reader.get());
  return Fail(ErrorCode::kInternal, "unpack {}: {}", file.string(), why != nullptr ? why : "");
}

Status WriteAt(int fd, const char* data, size_t size, off_t offset) {
  while (size > 0) {
    const ssize_t written = pwrite(fd, data, size, offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FailWithErrno("write {}", kUnpackedDisk);
    data += written;
    size -= static_cast<size_t>(written);
    offset += written;
  }
  return {};
}

}  // namespace

Status UnpackDisk(const HostPath& tree) {
  const HostPath packed = tree / kPackedDisk;
  if (!Exists(packed.value())) return {};
  const Reader reader(archive_read_new(), archive_read_free);
  archive_read_support_format_tar(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_filename(reader.get(), packed.c_str(), kBlock) != ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK)
    return Failure(reader, packed);
  ASSIGN_OR_RETURN(const UniqueFd disk,
                   OpenFile((tree / kUnpackedDisk).value(), O_CREAT | O_TRUNC | O_WRONLY, 0644));
  if (ftruncate(disk.get(), archive_entry_size(entry)) != 0)
    return FailWithErrno("make {}", kUnpackedDisk);
  while (true) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int read = archive_read_data_block(reader.get(), &data, &size, &offset);
    if (read == ARCHIVE_EOF) return {};
    if (read != ARCHIVE_OK) return Failure(reader, packed);
    RETURN_IF_ERROR(WriteAt(disk.get(), static_cast<const char*>(data), size, offset));
  }
}

}  // namespace catamaran
