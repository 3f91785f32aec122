#include "cri/operate/tar_zst_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <ctime>

#include "sandbox/base/unique_fd.h"

namespace catamaran {

void TarZstWriter::Free::operator()(archive* writer) const { archive_write_free(writer); }

Status TarZstWriter::Failed(const std::string& doing) const {
  const char* why = archive_error_string(writer_.get());
  return Fail(ErrorCode::kUnavailable, "{}: {}", doing, why == nullptr ? "unknown" : why);
}

Result<TarZstWriter> TarZstWriter::Create(const HostPath& file) {
  // libarchive opens by name and would follow a link or take what is there.
  const UniqueFd made(open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!made.valid()) return FailWithErrno("create {}", file.string());
  TarZstWriter writer(archive_write_new());
  archive_write_set_format_pax_restricted(writer.writer_.get());
  if (archive_write_add_filter_zstd(writer.writer_.get()) != ARCHIVE_OK)
    return tl::unexpected(writer.Failed("compress by zstd").error());
  if (archive_write_open_filename(writer.writer_.get(), file.c_str()) != ARCHIVE_OK)
    return tl::unexpected(writer.Failed("write " + file.string()).error());
  return writer;
}

Status TarZstWriter::Add(const std::string& name, const std::string& text) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(text.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0600);
  archive_entry_set_mtime(entry, time(nullptr), 0);
  const int header = archive_write_header(writer_.get(), entry);
  archive_entry_free(entry);
  if (header != ARCHIVE_OK) return Failed("write " + name);
  if (archive_write_data(writer_.get(), text.data(), text.size()) !=
      static_cast<la_ssize_t>(text.size()))
    return Failed("write " + name);
  return {};
}

Status TarZstWriter::Close() {
  if (archive_write_close(writer_.get()) != ARCHIVE_OK) return Failed("finish the archive");
  return {};
}

}  // namespace catamaran
