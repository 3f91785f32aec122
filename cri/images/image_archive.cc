#include "cri/images/image_archive.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "cri/images/erofs/output.h"
#include "cri/images/layer/decompressor.h"
#include "cri/images/tar_index.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class FolderArchive : public ImageArchive {
 public:
  explicit FolderArchive(UniqueFd folder) : folder_(std::move(folder)) {}

  Result<std::optional<ArchivePart>> Find(const std::string& name) const override {
    open_how how = {};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a FIFO must not make us wait
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    UniqueFd file(
        static_cast<int>(syscall(SYS_openat2, folder_.get(), name.c_str(), &how, sizeof(how))));
    if (!file.valid()) {
      if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
      return FailWithErrno("open {} in the image folder", name);
    }
    struct stat status = {};
    if (fstat(file.get(), &status) != 0) return FailWithErrno("fstat {}", name);
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    return ArchivePart{std::make_shared<const UniqueFd>(std::move(file)), 0,
                       static_cast<uint64_t>(status.st_size)};
  }

 private:
  UniqueFd folder_;
};

class TarArchive : public ImageArchive {
 public:
  TarArchive(UniqueFd file, TarIndex index)
      : file_(std::make_shared<const UniqueFd>(std::move(file))), index_(std::move(index)) {}

  Result<std::optional<ArchivePart>> Find(const std::string& name) const override {
    const TarIndex::Entry* entry = index_.Find(name);
    if (entry == nullptr) return std::nullopt;
    return ArchivePart{file_, entry->offset, entry->size};
  }

 private:
  std::shared_ptr<const UniqueFd> file_;
  TarIndex index_;
};

// An archive is as hostile as a layer: the same bound on what little may become.
Status Unpack(int from, uint64_t size, int to, Deadline deadline) {
  constexpr uint64_t kBase = 16ull << 30;
  constexpr uint64_t kRatio = 200;
  FilePartSource source(from, 0, size, deadline);
  ASSIGN_OR_RETURN(const auto plain, Decompress(source));
  std::vector<char> buffer(1 << 20);
  uint64_t written = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, plain->Read(buffer.data(), buffer.size()));
    if (count == 0) return {};
    written += count;
    if (written > kBase && written / kRatio > size)
      return Fail(ErrorCode::kResourceExhausted,
                  "the archive unpacks from {} to more than {} bytes", size, written);
    RETURN_IF_ERROR(WriteAll(to, std::string_view(buffer.data(), count)));
  }
}

}  // namespace

Result<std::unique_ptr<ImageArchive>> OpenImageArchive(const HostPath& source, UniqueFd scratch,
                                                       Deadline deadline) {
  ASSIGN_OR_RETURN(auto file, OpenFile(source.value(), O_RDONLY | O_NONBLOCK));
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return FailWithErrno("fstat {}", source.string());
  if (S_ISDIR(status.st_mode)) return std::make_unique<FolderArchive>(std::move(file));
  if (!S_ISREG(status.st_mode))
    return Fail(ErrorCode::kInvalidArgument, "{} is neither a folder nor a file", source.string());
  auto size = static_cast<uint64_t>(status.st_size);
  char start[4] = {};
  const ssize_t count = pread(file.get(), start, sizeof(start), 0);
  if (count < 0) return FailWithErrno("read {}", source.string());
  if (DetectCompression(start, static_cast<size_t>(count)) != Compression::kNone) {
    RETURN_IF_ERROR(Unpack(file.get(), size, scratch.get(), deadline));
    if (fstat(scratch.get(), &status) != 0) return FailWithErrno("fstat scratch file");
    size = static_cast<uint64_t>(status.st_size);
    file = std::move(scratch);
  }
  ASSIGN_OR_RETURN(auto index, TarIndex::Read(file.get(), size, deadline));
  return std::make_unique<TarArchive>(std::move(file), std::move(index));
}

}  // namespace catamaran
