// How much of an archive's file is taken into memory, which its writer has not to say
// (CVE-2023-25153).
#include "cri/images/erofs/output.h"
#include "cri/images/image_archive.h"

namespace catamaran {

Result<std::string> ImageArchive::Read(const std::string& name, size_t limit) const {
  ASSIGN_OR_RETURN(const auto part, Find(name));
  if (!part) return Fail(ErrorCode::kNotFound, "the image archive has no file {}", name);
  if (part->size > limit)
    return Fail(ErrorCode::kInvalidArgument, "{} has {} bytes, at most {} are allowed", name,
                part->size, limit);
  std::string content(part->size, '\0');
  RETURN_IF_ERROR(
      erofs::ReadExactly(part->file->get(), content.data(), content.size(), part->offset));
  return content;
}

}  // namespace catamaran
