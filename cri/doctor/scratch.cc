#include "cri/doctor/scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cri/images/erofs/blob_writer.h"
#include "sandbox/base/files.h"
#include "sandbox/probes/probe_layer.h"

namespace catamaran {
namespace {

constexpr char kPrefix[] = ".catamaran-doctor-";

Result<UniqueFd> Lock(const HostPath& folder) {
  ASSIGN_OR_RETURN(UniqueFd lock, OpenFile(folder.value(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return FailWithErrno("lock {}", folder.string());
  return lock;
}

void Sweep(const HostPath& parent) {
  const auto names = ListDirectory(parent.value());
  if (!names) return;
  for (const auto& name : *names)
    if (name.starts_with(kPrefix) && Lock(parent / name)) (void)RemoveTree((parent / name).value());
}

}  // namespace

HostPath NearestFolder(const HostPath& folder) {
  std::filesystem::path path = folder.value();
  struct stat status;
  while (stat(path.c_str(), &status) != 0 && path.has_relative_path()) path = path.parent_path();
  return HostPath(path);
}

Result<ProbeScratch> ProbeScratch::Make(const HostPath& root) {
  const HostPath parent = NearestFolder(root);
  Sweep(parent);
  std::string pattern = (parent / (std::string(kPrefix) + "XXXXXX")).string();
  if (mkdtemp(pattern.data()) == nullptr)
    return FailWithErrno("make a folder in {}", parent.string());
  HostPath path(pattern);
  auto lock = Lock(path);
  if (!lock) {
    rmdir(path.c_str());
    return tl::unexpected(std::move(lock).error());
  }
  return ProbeScratch(std::move(path), std::move(*lock));
}

ProbeScratch::~ProbeScratch() {
  if (lock_.valid()) (void)RemoveTree(path_.value());
}

Status ProbeScratch::WriteLayer() const {
  ASSIGN_OR_RETURN(const UniqueFd blob,
                   OpenFile((path_ / kProbeLayer).value(), O_RDWR | O_CREAT | O_EXCL, 0600));
  constexpr std::string_view kContent = kProbeContent;
  erofs::BlobWriter writer(blob.get());
  erofs::Inode file;
  file.mode = S_IFREG | 0644;
  RETURN_IF_ERROR(writer.BeginFile(kContent.size()));
  RETURN_IF_ERROR(writer.Write(0, kContent));
  RETURN_IF_ERROR(writer.EndFile(file));
  erofs::FileTree tree;
  const auto index = tree.Add(std::move(file));
  tree.at(erofs::FileTree::kRoot).children->emplace(kProbeFile, index);
  RETURN_IF_ERROR(writer.Finish(tree, erofs::Uuid{}).map([](const auto&) {}));
  if (fsync(blob.get()) != 0) return FailWithErrno("fsync {}", path_.string());
  return {};
}

}  // namespace catamaran
