#include "cri/images/blob_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "cri/images/reference.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kSuffix[] = ".erofs";

Status SyncFolder(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const auto fd, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return FailWithErrno("fsync {}", folder.string());
  return {};
}

Status RemoveFile(const HostPath& path) {
  RETURN_IF_ERROR(RemoveIfExists(path.value()));
  AbortStep();
  return {};
}

Status KeepOnlyIn(const std::filesystem::path& folder, const std::set<std::string>& names) {
  ASSIGN_OR_RETURN(const auto present, ListDirectory(folder));
  for (const auto& name : present)
    if (!names.contains(name)) RETURN_IF_ERROR(RemoveTree(folder / name));
  return {};
}

}  // namespace

TemporaryFile::~TemporaryFile() {
  if (!path_.empty()) unlink(path_.c_str());
}

Status TemporaryFile::MoveTo(const std::filesystem::path& target) {
  if (fsync(fd_.get()) != 0) return FailWithErrno("fsync {}", path_.string());
  if (rename(path_.c_str(), target.c_str()) != 0)
    return FailWithErrno("rename {} to {}", path_.string(), target.string());
  path_.clear();
  AbortStep();
  return SyncFolder(target.parent_path());
}

UniqueFd TemporaryFile::Anonymous() && {
  unlink(path_.c_str());
  path_.clear();
  return std::move(fd_);
}

Result<BlobFolder> BlobFolder::Open(const HostPath& root) {
  for (const char* name : {"blobs", "merged", "partial", "tmp"})
    RETURN_IF_ERROR(MakeDirectories((root / name).value()));
  RETURN_IF_ERROR(SyncFolder(root.value()));
  RETURN_IF_ERROR(KeepOnlyIn((root / "tmp").value(), {}));
  return BlobFolder(root);
}

Result<TemporaryFile> BlobFolder::CreateTemporary(const std::string& name) const {
  static std::atomic<uint64_t> next{0};
  const auto path = (root_ / "tmp" / fmt::format("{}.{}", name, next++)).value();
  ASSIGN_OR_RETURN(auto fd, OpenFile(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  AbortStep();
  return TemporaryFile(path, std::move(fd));
}

HostPath BlobFolder::BlobPath(const std::string& diff_id) const {
  return root_ / "blobs" / (DigestHex(diff_id) + kSuffix);
}

HostPath BlobFolder::MergedPath(const ImageIndex::MergedFile& file) const {
  const auto& [image_id, kind] = file;
  return root_ / "merged" /
         (DigestHex(image_id) + (kind == MergedKind::kDisk ? ".disk" : ".attributes") + kSuffix);
}

Status BlobFolder::RemoveBlob(const std::string& diff_id) const {
  return RemoveFile(BlobPath(diff_id));
}

Status BlobFolder::RemoveMerged(const ImageIndex::MergedFile& file) const {
  return RemoveFile(MergedPath(file));
}

Status BlobFolder::KeepOnly(const std::set<std::string>& diff_ids,
                            const std::set<ImageIndex::MergedFile>& merged) const {
  std::set<std::string> blobs;
  for (const auto& diff_id : diff_ids) blobs.insert(BlobPath(diff_id).value().filename());
  RETURN_IF_ERROR(KeepOnlyIn((root_ / "blobs").value(), blobs));
  std::set<std::string> files;
  for (const auto& file : merged) files.insert(MergedPath(file).value().filename());
  return KeepOnlyIn((root_ / "merged").value(), files);
}

Result<BlobFolder::Usage> BlobFolder::Measure() const {
  Usage usage;
  for (const char* folder : {"blobs", "merged", "partial", "tmp"}) {
    ASSIGN_OR_RETURN(const auto names, ListDirectory((root_ / folder).value()));
    for (const auto& name : names) {
      struct stat status = {};
      // A file may go while we look.
      if (lstat((root_ / folder / name).c_str(), &status) != 0) continue;
      usage.used_bytes += static_cast<uint64_t>(status.st_blocks) * 512;
      ++usage.inodes;
    }
  }
  return usage;
}

bool HasSize(const HostPath& path, uint64_t size_bytes) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         static_cast<uint64_t>(status.st_size) == size_bytes;
}

}  // namespace catamaran
