#include "cri/images/local_image_store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <set>

#include "cri/images/archive_images.h"
#include "cri/images/image_policy.h"
#include "cri/images/merged_disk.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// A layer that comes twice: everything of the lower one is covered by the same entries of the
// upper, and overlayfs refuses the same folder twice.
std::vector<std::string> WithoutRepeats(const std::vector<std::string>& diff_ids) {
  std::vector<std::string> kept;
  std::set<std::string> seen;
  for (auto layer = diff_ids.rbegin(); layer != diff_ids.rend(); ++layer)
    if (seen.insert(*layer).second) kept.push_back(*layer);
  std::reverse(kept.begin(), kept.end());
  return kept;
}

std::vector<IncomingLayer> DistinctLayers(const std::vector<IncomingImage>& images) {
  std::vector<IncomingLayer> layers;
  std::set<std::string> seen;
  for (const auto& image : images)
    for (const auto& layer : image.layers)
      if (seen.insert(layer.diff_id).second) layers.push_back(layer);
  return layers;
}

bool IsIdPrefix(const std::string& text) {
  constexpr size_t kShortest = 12;  // what `docker images` and crictl print
  return text.size() >= kShortest && text.size() < 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<std::unique_ptr<ImageStore>> ImageStore::Open(const HostPath& root,
                                                     const OpenOptions& options) {
  ASSIGN_OR_RETURN(auto store, LocalImageStore::Open(root, options));
  return std::unique_ptr<ImageStore>(std::move(store));
}

Result<std::unique_ptr<LocalImageStore>> LocalImageStore::Open(const HostPath& root,
                                                               const OpenOptions& options) {
  RETURN_IF_ERROR(MakeDirectories(root.value()));
  ASSIGN_OR_RETURN(auto lock, OpenFile((root / "lock").value(), O_RDWR | O_CREAT, 0600));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Fail(ErrorCode::kFailedPrecondition, "another process uses the image store {}",
                  root.string());
    return FailWithErrno("lock the image store {}", root.string());
  }
  ASSIGN_OR_RETURN(auto folder, BlobFolder::Open(root));
  ASSIGN_OR_RETURN(auto index, ImageIndex::Open((root / "index.db").string()));
  std::unique_ptr<LocalImageStore> store(
      new LocalImageStore(std::move(lock), std::move(folder), std::move(index), options));
  RETURN_IF_ERROR(store->Recover());
  return store;
}

Status LocalImageStore::Recover() {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto recorded, index_.Blobs());
  for (const auto& [diff_id, blob] : recorded)
    if (!HasSize(folder_.BlobPath(diff_id), blob.size_bytes))
      RETURN_IF_ERROR(index_.ForgetDamagedBlob(diff_id));
  RETURN_IF_ERROR(SweepLocked());
  ASSIGN_OR_RETURN(const auto blobs, index_.Blobs());
  ASSIGN_OR_RETURN(const auto merged, index_.Merged());
  std::set<std::string> diff_ids;
  for (const auto& [diff_id, blob] : blobs) diff_ids.insert(diff_id);
  RETURN_IF_ERROR(folder_.KeepOnly(diff_ids, merged));
  return CheckBlobsLocked();
}

Status LocalImageStore::CheckBlobsLocked() {
  ASSIGN_OR_RETURN(const std::string boot_id, ReadBootId());
  ASSIGN_OR_RETURN(const std::string checked_in, index_.BlobsCheckedInBoot());
  if (checked_in == boot_id) return {};
  ASSIGN_OR_RETURN(auto blobs, index_.Blobs());
  check_.Start(
      std::move(blobs), [this](const std::string& diff_id) { return folder_.BlobPath(diff_id); },
      [this](const std::string& diff_id, const Error& why) { ForgetDamaged(diff_id, why); },
      [this, boot_id] {
        const std::lock_guard lock(mutex_);
        (void)index_.PutBlobsCheckedInBoot(boot_id);
      });
  return {};
}

void LocalImageStore::ForgetDamaged(const std::string& diff_id, const Error& why) {
  const std::lock_guard lock(mutex_);
  // Removed meanwhile, or a pull that noticed the same is at it.
  const auto known = index_.Blob(diff_id);
  if (!known || !*known || intake_.PinnedLocked().contains(diff_id)) return;
  if (notice_)
    notice_(fmt::format("layer {}: {}: its images must be pulled again", diff_id, why.message));
  if (!index_.ForgetDamagedBlob(diff_id)) return;
  (void)intake_.RemoveBlobLocked(diff_id);
  (void)SweepLocked();
}

Status LocalImageStore::SweepLocked() {
  intake_.DropKeptLocked();
  ASSIGN_OR_RETURN(const auto blobs, index_.ForgetUnusedBlobs(intake_.PinnedLocked()));
  for (const auto& diff_id : blobs) RETURN_IF_ERROR(intake_.RemoveBlobLocked(diff_id));
  ASSIGN_OR_RETURN(const auto merged, index_.ForgetUnusedMerged());
  for (const auto& file : merged) RETURN_IF_ERROR(folder_.RemoveMerged(file));
  return {};
}

Result<std::vector<Image>> LocalImageStore::Load(const HostPath& source,
                                                 const LoadOptions& options) {
  ASSIGN_OR_RETURN(auto scratch, folder_.CreateTemporary("archive"));
  ASSIGN_OR_RETURN(const auto archive,
                   OpenImageArchive(source, std::move(scratch).Anonymous(), options.deadline));
  ASSIGN_OR_RETURN(const auto images, ReadArchivedImages(*archive, options.reference));
  if (policy_ != nullptr)
    for (const IncomingImage& image : images)
      for (const auto* names : {&image.repo_tags, &image.repo_digests})
        for (const auto& name : *names) RETURN_IF_ERROR(policy_->AdmitLoaded(name));
  return Take(images, options);
}

Result<Image> LocalImageStore::Add(const IncomingImage& image, const LoadOptions& options) {
  ASSIGN_OR_RETURN(auto images, Take({image}, options));
  return std::move(images[0]);
}

Result<std::vector<Image>> LocalImageStore::Take(const std::vector<IncomingImage>& incoming,
                                                 const LoadOptions& options) {
  LayerIntake::Pins pins(intake_);
  auto taken = intake_.Take(DistinctLayers(incoming), options, pins);
  if (!taken) {
    // What may go better next time need not begin anew.
    if (taken.error().code == ErrorCode::kUnavailable ||
        taken.error().code == ErrorCode::kDeadlineExceeded)
      intake_.KeepFinished(pins);
    return tl::unexpected(std::move(taken).error());
  }
  const auto& blobs = *taken;

  const std::lock_guard lock(mutex_);
  std::vector<ImageRecord> records;
  for (const auto& image : incoming)
    records.push_back({image.id, image.config_text, false, image.config.diff_ids, image.repo_tags,
                       image.repo_digests, image.signatures});
  RETURN_IF_ERROR(index_.Put(records, blobs));
  std::vector<Image> images;
  for (const auto& record : records) {
    ASSIGN_OR_RETURN(const auto stored, index_.Get(record.id));
    ASSIGN_OR_RETURN(auto image, DescribeLocked(stored ? *stored : record));
    images.push_back(std::move(image));
  }
  return images;
}

Result<Image> LocalImageStore::DescribeLocked(const ImageRecord& record) {
  Image image;
  ASSIGN_OR_RETURN(auto parsed, ParseImageConfig(record.config_text));
  image.id = record.id;
  image.repo_tags = record.repo_tags;
  image.repo_digests = record.repo_digests;
  image.pinned = record.pinned;
  for (const auto* names : {&image.repo_tags, &image.repo_digests})
    for (const auto& name : *names) image.pinned |= pinned_.contains(name);
  image.config = std::move(parsed.config);
  image.diff_ids = record.diff_ids;
  image.signatures = record.signatures;
  image.size_bytes = record.config_text.size();
  ASSIGN_OR_RETURN(const auto known, index_.LayersOf(record.id));
  for (const auto& diff_id : WithoutRepeats(record.diff_ids)) {
    const auto layer = known.find(diff_id);
    if (layer == known.end()) continue;
    image.layers.push_back(layer->second);
    image.size_bytes += layer->second.size_bytes;
  }
  return image;
}

Result<std::vector<Image>> LocalImageStore::List() {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto records, index_.Images());
  std::vector<Image> images;
  for (const auto& record : records) {
    ASSIGN_OR_RETURN(auto image, DescribeLocked(record));
    images.push_back(std::move(image));
  }
  return images;
}

Result<std::string> LocalImageStore::ConfigText(const std::string& image_id) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto record, index_.Get(image_id));
  if (!record) return Fail(ErrorCode::kNotFound, "there is no image {}", image_id);
  return std::move(record->config_text);
}

Status LocalImageStore::Admit(const Image& image, const std::string& reference) {
  return policy_ == nullptr ? Status() : policy_->Admit(image, reference);
}

Result<std::optional<std::string>> LocalImageStore::ResolveLocked(const std::string& reference) {
  if (const auto id = ParseImageId(reference)) {
    ASSIGN_OR_RETURN(const auto image, index_.Get(*id));
    return image ? id : std::nullopt;
  }
  ASSIGN_OR_RETURN(const auto parsed, ParseImageReference(reference));
  ASSIGN_OR_RETURN(const auto named, index_.IdOfName(parsed.ToString()));
  if (named || !IsIdPrefix(reference)) return named;
  ASSIGN_OR_RETURN(const auto ids, index_.IdsStartingWith("sha256:" + reference));
  return ids.size() == 1 ? std::optional(ids[0]) : std::nullopt;
}

Result<std::optional<Image>> LocalImageStore::Find(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto id, ResolveLocked(reference));
  if (!id) return std::nullopt;
  ASSIGN_OR_RETURN(const auto record, index_.Get(*id));
  if (!record) return std::nullopt;
  ASSIGN_OR_RETURN(auto image, DescribeLocked(*record));
  return std::optional(std::move(image));
}

Status LocalImageStore::Remove(const std::string& reference) {
  const std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(const auto id, ResolveLocked(reference));
  if (!id) return {};
  RETURN_IF_ERROR(index_.Remove(*id));
  return SweepLocked();
}

Result<std::vector<std::string>> LocalImageStore::TakeLeaseLocked(const std::string& image_id,
                                                                  const std::string& holder,
                                                                  bool& added) {
  ASSIGN_OR_RETURN(auto leased, index_.LeasedLayers(holder, image_id));
  added = leased.empty();
  if (!added) return leased;
  ASSIGN_OR_RETURN(const auto image, index_.Get(image_id));
  if (!image) return Fail(ErrorCode::kNotFound, "there is no image {}", image_id);
  leased = WithoutRepeats(image->diff_ids);
  RETURN_IF_ERROR(index_.AddLease(holder, image_id, leased));
  return leased;
}

Status LocalImageStore::FillLayersLocked(const std::vector<std::string>& diff_ids,
                                         spec::RootfsSpec& rootfs, bool& attributes) {
  for (const auto& diff_id : diff_ids) {
    ASSIGN_OR_RETURN(const auto blob, index_.Blob(diff_id));
    if (!blob) return Fail(ErrorCode::kDataLoss, "the blob of layer {} is gone", diff_id);
    auto* layer = rootfs.add_layers();
    layer->set_blob(folder_.BlobPath(diff_id).string());
    layer->set_size_bytes(blob->size_bytes);
    attributes |= rootfs.layers_size() > 1 && blob->implicit_folders;
  }
  return {};
}

Result<spec::RootfsSpec> LocalImageStore::Lease(const std::string& image_id,
                                                const std::string& holder, RootfsKind kind) {
  const auto id = ParseImageId(image_id);
  if (!id || holder.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "lease of image \"{}\" for \"{}\": expected an image "
                "id and a holder",
                image_id, holder);
  spec::RootfsSpec rootfs;
  bool added = false;
  bool attributes = false;
  Status filled;
  {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const auto diff_ids, TakeLeaseLocked(*id, holder, added));
    filled = FillLayersLocked(diff_ids, rootfs, attributes);
  }
  if (filled && kind == RootfsKind::kMergedDisk)
    filled = FillMerged(*id, MergedKind::kDisk, rootfs);
  if (filled && kind == RootfsKind::kLayers && attributes)
    filled = FillMerged(*id, MergedKind::kAttributes, rootfs);
  if (filled) return rootfs;
  if (added) {
    const std::lock_guard lock(mutex_);
    if (index_.DropLease(holder, *id)) (void)SweepLocked();
  }
  return tl::unexpected(std::move(filled).error());
}

Result<uint64_t> LocalImageStore::EnsureMerged(const std::string& image_id, MergedKind kind,
                                               const spec::RootfsSpec& rootfs) {
  const std::lock_guard merging(merging_);
  const HostPath path = folder_.MergedPath({image_id, kind});
  {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const auto known, index_.MergedSize(image_id, kind));
    if (known && (*known == 0 || HasSize(path, *known))) return *known;
  }
  std::vector<LayerFile> layers;
  for (const auto& layer : rootfs.layers())
    layers.push_back({HostPath(layer.blob()), layer.size_bytes()});
  ASSIGN_OR_RETURN(auto file, folder_.CreateTemporary("merged"));
  const auto write = kind == MergedKind::kDisk ? WriteMergedMetadata : WriteAttributeLayer;
  ASSIGN_OR_RETURN(const uint64_t size, write(file.fd(), layers, image_id));
  if (size > 0) RETURN_IF_ERROR(file.MoveTo(path.value()));
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(index_.PutMerged(image_id, kind, size));
  return size;
}

Status LocalImageStore::FillMerged(const std::string& image_id, MergedKind kind,
                                   spec::RootfsSpec& rootfs) {
  ASSIGN_OR_RETURN(const uint64_t size, EnsureMerged(image_id, kind, rootfs));
  const std::string path = folder_.MergedPath({image_id, kind}).string();
  if (kind == MergedKind::kDisk) {
    rootfs.set_merged_metadata(path);
    rootfs.set_merged_metadata_bytes(size);
  } else if (size > 0) {
    auto* layer = rootfs.add_layers();
    layer->set_blob(path);
    layer->set_size_bytes(size);
  }
  return {};
}

Status LocalImageStore::DropLease(const std::string& holder) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(index_.DropLeases(holder));
  return SweepLocked();
}

Status LocalImageStore::DropLeasesExcept(const std::vector<std::string>& holders) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(index_.DropLeasesExcept(holders));
  return SweepLocked();
}

Result<ImageStore::Usage> LocalImageStore::DiskUsage() {
  {
    const std::lock_guard lock(mutex_);
    intake_.DropKeptLocked();
  }
  ASSIGN_OR_RETURN(const auto measured, folder_.Measure());
  return Usage{folder_.root(), measured.used_bytes, measured.inodes};
}

}  // namespace catamaran
