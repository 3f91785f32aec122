#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cri/images/blob_check.h"
#include "cri/images/blob_folder.h"
#include "cri/images/image_index.h"
#include "cri/images/image_store.h"
#include "cri/images/incoming_image.h"
#include "cri/images/partial_layers.h"

namespace catamaran {

// Turns layers into blobs, each once however many loads ask for it at a time, and keeps blobs
// that no image refers to yet from being swept. Thread-safe; `mutex` guards the index and is the
// store's.
class LayerIntake {
 public:
  LayerIntake(std::mutex& mutex, ImageIndex& index, const BlobFolder& folder)
      : mutex_(mutex), index_(index), folder_(folder), partial_(folder.PartialFolder()) {}

  // Blobs that one load works with. They stay on the disk until it is destroyed; then those that
  // the index does not name are removed.
  class Pins {
   public:
    explicit Pins(LayerIntake& intake) : intake_(intake) {}
    Pins(const Pins&) = delete;
    Pins& operator=(const Pins&) = delete;
    ~Pins() { intake_.Unpin(diff_ids_); }

   private:
    friend class LayerIntake;
    LayerIntake& intake_;
    std::vector<std::string> diff_ids_;
  };

  // Makes sure there is a whole blob for each layer, several at once; returns one record each.
  // The first failure stops the others.
  Result<std::vector<BlobRecord>> Take(const std::vector<IncomingLayer>& layers,
                                       const ImageStore::LoadOptions& options, Pins& pins);

  // Keeps the layers that a failed call finished, for some minutes: its caller will come again.
  void KeepFinished(Pins& pins);

  // Call with the mutex held.
  std::set<std::string> PinnedLocked() const;
  Status RemoveBlobLocked(const std::string& diff_id);
  void DropKeptLocked();  // whose time is over

 private:
  // A layer that some thread verifies or converts. What another origin sends may stall for ever
  // (it is hostile), so only calls that read from the same origin wait for it.
  struct Flight {
    std::atomic<uint64_t> done_bytes{0};
  };
  using FlightKey = std::pair<std::string, std::string>;  // diffID, origin
  using Cancelled = std::function<bool()>;

  Result<BlobRecord> TakeOne(const IncomingLayer& layer, const ImageStore::LoadOptions& options,
                             Pins& pins, const Cancelled& cancelled);
  // Until no other call works on the layer, or the one that does hardly advances.
  Status WaitForOthers(const FlightKey& key, Deadline deadline, const Cancelled& cancelled,
                       std::unique_lock<std::mutex>& lock);
  Result<BlobRecord> VerifyOrConvert(const IncomingLayer& layer,
                                     const std::optional<BlobRecord>& known,
                                     const ImageStore::LoadOptions& options,
                                     const Cancelled& cancelled, Flight& flight);
  // `resumed` becomes true where bytes of an earlier try were among those that were read.
  Result<BlobRecord> Convert(const IncomingLayer& layer, const ImageStore::LoadOptions& options,
                             const Cancelled& cancelled, Flight& flight, bool& resumed);
  Result<BlobRecord> ConvertBytes(const IncomingLayer& layer, ByteSource& bytes,
                                  const ImageStore::LoadOptions& options, Flight& flight);
  // Reads the blob, unless this process has read it already and it is the same file still: a pull
  // of an image that is here must not read all of it again and again.
  bool IsWhole(const BlobRecord& blob);
  void Unpin(const std::vector<std::string>& diff_ids);
  void UnpinLocked(const std::vector<std::string>& diff_ids);

  std::mutex& mutex_;
  ImageIndex& index_;
  const BlobFolder& folder_;
  const PartialLayers partial_;
  std::condition_variable changed_;
  std::map<FlightKey, std::shared_ptr<Flight>> in_flight_;
  std::map<std::string, BlobRecord> ready_;  // whole on the disk, pinned
  std::map<std::string, int> pins_;          // loads that need the blob
  std::map<std::string, FileStamp> whole_;   // what IsWhole need not read
  struct Kept {
    std::vector<std::string> diff_ids;
    Deadline until;
  };
  std::vector<Kept> kept_;  // pinned for calls that failed
};

}  // namespace catamaran
