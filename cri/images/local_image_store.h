#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cri/images/blob_check.h"
#include "cri/images/blob_folder.h"
#include "cri/images/image_index.h"
#include "cri/images/image_store.h"
#include "cri/images/layer_intake.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The image store in a folder of this machine; what ImageStore::Open makes.
class LocalImageStore : public ImageStore {
 public:
  static Result<std::unique_ptr<LocalImageStore>> Open(const HostPath& root,
                                                       const OpenOptions& options);

  Result<std::vector<Image>> Load(const HostPath& source, const LoadOptions& options) override;
  Result<Image> Add(const IncomingImage& image, const LoadOptions& options) override;
  Result<std::vector<Image>> List() override;
  Result<std::optional<Image>> Find(const std::string& reference) override;
  Result<std::string> ConfigText(const std::string& image_id) override;
  Status Admit(const Image& image, const std::string& reference) override;
  Status Remove(const std::string& reference) override;
  Result<spec::RootfsSpec> Lease(const std::string& image_id, const std::string& holder,
                                 RootfsKind kind) override;
  Status DropLease(const std::string& holder) override;
  Status DropLeasesExcept(const std::vector<std::string>& holders) override;
  Result<Usage> DiskUsage() override;

 private:
  LocalImageStore(UniqueFd lock, BlobFolder folder, ImageIndex index, const OpenOptions& options)
      : pinned_(options.pinned.begin(), options.pinned.end()),
        notice_(options.notice),
        policy_(options.policy),
        lock_(std::move(lock)),
        folder_(std::move(folder)),
        index_(std::move(index)),
        intake_(mutex_, index_, folder_) {}

  // After a crash: forgets what is not whole, removes what nothing refers to.
  Status Recover();
  // The others whose name ends in Locked: call with mutex_ held.
  Status SweepLocked();
  Result<Image> DescribeLocked(const ImageRecord& record);
  Result<std::optional<std::string>> ResolveLocked(const std::string& reference);
  Result<std::vector<std::string>> TakeLeaseLocked(const std::string& image_id,
                                                   const std::string& holder, bool& added);
  // `attributes` becomes true where folder attributes may need a layer of their own.
  Status FillLayersLocked(const std::vector<std::string>& diff_ids, spec::RootfsSpec& rootfs,
                          bool& attributes);
  Status FillMerged(const std::string& image_id, MergedKind kind, spec::RootfsSpec& rootfs);
  // The size of the file, which is written where it is not there; 0 where none is needed.
  Result<uint64_t> EnsureMerged(const std::string& image_id, MergedKind kind,
                                const spec::RootfsSpec& rootfs);

  Result<std::vector<Image>> Take(const std::vector<IncomingImage>& images,
                                  const LoadOptions& options);

  // Where this was not done since the machine booted.
  Status CheckBlobsLocked();
  void ForgetDamaged(const std::string& diff_id, const Error& why);

  const std::set<std::string> pinned_;
  const std::function<void(const std::string&)> notice_;
  const std::shared_ptr<const ImagePolicy> policy_;  // may be null
  UniqueFd lock_;
  BlobFolder folder_;
  std::mutex mutex_;  // guards index_; held for database calls, not while layers are read
  ImageIndex index_;
  LayerIntake intake_;
  std::mutex merging_;  // one merged disk is written at a time; taken before mutex_
  BlobCheck check_;     // last: its thread ends before what it uses
};

}  // namespace catamaran
