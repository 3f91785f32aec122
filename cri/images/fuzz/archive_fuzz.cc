// Image archives (tar of an OCI layout or of `docker save`), and EROFS images as the reader sees
// them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "cri/images/archive_images.h"
#include "cri/images/erofs/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;  // NOLINT: the one function of this program
  const UniqueFd file(memfd_create("archive", MFD_CLOEXEC));
  if (write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  (void)erofs::ReadTree(file.get(), size);
  UniqueFd scratch(memfd_create("scratch", MFD_CLOEXEC));
  const auto archive =
      OpenImageArchive(HostPath("/proc/self/fd/" + std::to_string(file.get())), std::move(scratch),
                       Deadline::After(std::chrono::seconds(5)));
  if (archive) (void)ReadArchivedImages(**archive, "");
  return 0;
}
