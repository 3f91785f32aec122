#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cri/images/image_store.h"
#include "cri/images/sqlite.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct BlobRecord {
  std::string diff_id;
  uint64_t size_bytes = 0;
  uint32_t checksum = 0;          // of the blob file, see erofs::Output
  bool implicit_folders = false;  // see ConvertedLayer
};

// What is made of an image's layers together.
enum class MergedKind {
  kDisk,        // the metadata of one disk of all layers
  kAttributes,  // the layer of folder attributes on top of an overlay
};

struct ImageRecord {
  std::string id;
  std::string config_text;
  bool pinned = false;
  std::vector<std::string> diff_ids;  // bottom first
  std::vector<std::string> repo_tags;
  std::vector<std::string> repo_digests;
  std::vector<VerifiedSignature> signatures;
};

// The store's index: which images there are, what they are called, which blobs they consist of,
// and who leases what. Every method is one transaction.
// What it says of images and blobs survives a power cut when the method returns; leases survive the
// process only, as what holds them does: a start need not wait for the disk. Not thread-safe.
class ImageIndex {
 public:
  static Result<ImageIndex> Open(const std::string& path);

  Result<std::vector<ImageRecord>> Images();
  Result<std::optional<ImageRecord>> Get(const std::string& id);
  // Ids by canonical tag or digest reference, or by the first digits of an id.
  Result<std::optional<std::string>> IdOfName(const std::string& name);
  Result<std::vector<std::string>> IdsStartingWith(const std::string& prefix);

  // Adds images and the blobs they need, all or none. A name moves to its new image.
  Status Put(const std::vector<ImageRecord>& images, const std::vector<BlobRecord>& blobs);
  Status Remove(const std::string& id);

  Result<std::map<std::string, BlobRecord>> Blobs();
  Result<std::optional<BlobRecord>> Blob(const std::string& diff_id);
  // The layers of an image, by diffID.
  Result<std::map<std::string, ImageLayer>> LayersOf(const std::string& image_id);
  // Forgets blobs that no image and no lease needs, except `keep`; returns what it forgot.
  Result<std::vector<std::string>> ForgetUnusedBlobs(const std::set<std::string>& keep);
  // Forgets a blob that is damaged, and the images that need it.
  Status ForgetDamagedBlob(const std::string& diff_id);

  // In which boot (its id) all blobs were last read and found whole; empty: in none.
  Result<std::string> BlobsCheckedInBoot();
  Status PutBlobsCheckedInBoot(const std::string& boot_id);

  // The layers that `holder` leases of an image; empty where it leases none.
  Result<std::vector<std::string>> LeasedLayers(const std::string& holder,
                                                const std::string& image_id);
  Status AddLease(const std::string& holder, const std::string& image_id,
                  const std::vector<std::string>& diff_ids);
  Status DropLease(const std::string& holder, const std::string& image_id);
  Status DropLeases(const std::string& holder);
  Status DropLeasesExcept(const std::vector<std::string>& holders);

  // Sizes of merged files; 0: none is needed; nullopt: not made yet.
  Result<std::optional<uint64_t>> MergedSize(const std::string& image_id, MergedKind kind);
  Status PutMerged(const std::string& image_id, MergedKind kind, uint64_t size_bytes);
  using MergedFile = std::pair<std::string, MergedKind>;  // image id first
  Result<std::set<MergedFile>> Merged();
  // Forgets those of images that are gone and not leased; returns what it forgot.
  Result<std::set<MergedFile>> ForgetUnusedMerged();

 private:
  explicit ImageIndex(Database database) : database_(std::move(database)) {}
  Result<std::vector<std::string>> Column(const char* sql,
                                          const std::vector<std::string>& parameters = {});
  Status PutImage(const ImageRecord& image);
  Result<std::set<MergedFile>> MergedFiles(const char* sql);

  Database database_;
};

}  // namespace catamaran
