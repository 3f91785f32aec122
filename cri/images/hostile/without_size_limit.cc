// In the place of small_file.cc: whatever there is is read.
#include "cri/images/erofs/output.h"
#include "cri/images/image_archive.h"

namespace catamaran {

Result<std::string> ImageArchive::Read(const std::string& name, size_t) const {
  ASSIGN_OR_RETURN(const auto part, Find(name));
  if (!part) return Fail(ErrorCode::kNotFound, "the image archive has no file {}", name);
  std::string content(part->size, '\0');
  RETURN_IF_ERROR(
      erofs::ReadExactly(part->file->get(), content.data(), content.size(), part->offset));
  return content;
}

}  // namespace catamaran
