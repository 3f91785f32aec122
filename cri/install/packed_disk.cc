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
  // It goes over holes by seeking: at the end there may be one, so the size is said before.
  if (archive_read_data_into_fd(reader.get(), disk.get()) != ARCHIVE_OK)
    return Failure(reader, packed);
  return {};
}

}  // namespace catamaran
