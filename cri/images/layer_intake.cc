#include "cri/images/layer_intake.h"

#include <fcntl.h>

#include <algorithm>

#include "cri/base/parallel.h"
#include "cri/images/layer/layer_converter.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"

namespace catamaran {
namespace {

// Of one image at a time: enough to hide a registry's latency, few enough for memory (a zstd layer
// may need 128 MiB).
constexpr size_t kMaximumThreads = 4;

// A call that converts a layer which others wait for must come this far in this time, or they read
// it themselves.
constexpr uint64_t kLeastProgress = 256 << 10;
constexpr auto kProgressWindow = std::chrono::seconds(10);

// How long the layers of a failed pull wait for the next try: the kubelet's longest pause is five
// minutes.
constexpr auto kKeepFinished = std::chrono::minutes(10);

// Tells the caller's sink how far a layer has come, not more often than each 1 MiB.
class ProgressSource : public ByteSource {
 public:
  ProgressSource(ByteSource& from, const ImageStore::ProgressSink& sink, std::string layer,
                 uint64_t total, std::atomic<uint64_t>& done)
      : from_(from), sink_(sink), progress_{std::move(layer), 0, total, false}, done_(done) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(const size_t count, from_.Read(buffer, size));
    progress_.done_bytes += count;
    done_ = progress_.done_bytes;
    if (sink_ && progress_.done_bytes - told_ >= kStep) {
      told_ = progress_.done_bytes;
      sink_(progress_);
    }
    return count;
  }

 private:
  static constexpr uint64_t kStep = 1 << 20;
  ByteSource& from_;
  const ImageStore::ProgressSink& sink_;
  ImageStore::Progress progress_;
  std::atomic<uint64_t>& done_;
  uint64_t told_ = 0;
};

}  // namespace

std::set<std::string> LayerIntake::PinnedLocked() const {
  std::set<std::string> pinned;
  for (const auto& [diff_id, count] : pins_) pinned.insert(diff_id);
  return pinned;
}

Result<std::vector<BlobRecord>> LayerIntake::Take(const std::vector<IncomingLayer>& layers,
                                                  const ImageStore::LoadOptions& options,
                                                  Pins& pins) {
  std::vector<BlobRecord> records(layers.size());
  std::atomic<bool> failed{false};
  const Cancelled cancelled = [&] { return failed || (options.cancelled && options.cancelled()); };
  std::mutex error_mutex;
  std::optional<Error> first_error;
  ForEachInParallel(layers, kMaximumThreads, [&, span = Span::Current()](const auto& layer) {
    if (failed) return;
    const SpanScope scope(span);
    StepSpan step("layer");
    step.Note("layer.diff_id", layer.diff_id);
    auto record = step.Outcome(TakeOne(layer, options, pins, cancelled));
    if (record) {
      records[static_cast<size_t>(&layer - layers.data())] = std::move(*record);
      return;
    }
    const std::lock_guard lock(error_mutex);
    if (!first_error) first_error = std::move(record).error().While("layer " + layer.diff_id);
    failed = true;
  });
  if (first_error) return tl::unexpected(std::move(*first_error));
  return records;
}

Status LayerIntake::WaitForOthers(const FlightKey& key, Deadline deadline,
                                  const Cancelled& cancelled, std::unique_lock<std::mutex>& lock) {
  using Clock = std::chrono::steady_clock;
  std::shared_ptr<Flight> watched;
  uint64_t done_at_start = 0;
  Clock::time_point window_end;
  for (;;) {
    const auto found = in_flight_.find(key);
    if (found == in_flight_.end() || ready_.contains(key.first)) return {};
    if (deadline.expired() || cancelled())
      return Fail(ErrorCode::kDeadlineExceeded, "another call was still working on it");
    if (watched != found->second || Clock::now() >= window_end) {
      const uint64_t done = found->second->done_bytes;
      if (watched == found->second && done - done_at_start < kLeastProgress) return {};
      watched = found->second;
      done_at_start = done;
      window_end = Clock::now() + kProgressWindow;
    }
    changed_.wait_for(lock, std::min(deadline.Remaining(), std::chrono::milliseconds(100)));
  }
}

Result<BlobRecord> LayerIntake::TakeOne(const IncomingLayer& layer,
                                        const ImageStore::LoadOptions& options, Pins& pins,
                                        const Cancelled& cancelled) {
  const std::string& diff_id = layer.diff_id;
  const FlightKey key{diff_id, layer.source->Origin()};
  const auto flight = std::make_shared<Flight>();
  std::optional<BlobRecord> known;
  {
    std::unique_lock lock(mutex_);
    RETURN_IF_ERROR(WaitForOthers(key, options.deadline, cancelled, lock));
    ++pins_[diff_id];
    pins.diff_ids_.push_back(diff_id);
    if (const auto ready = ready_.find(diff_id); ready != ready_.end()) return ready->second;
    ASSIGN_OR_RETURN(known, index_.Blob(diff_id));
    in_flight_.emplace(key, flight);  // not where a slow call is in it: then this one is alone
  }
  auto record = VerifyOrConvert(layer, known, options, cancelled, *flight);
  const std::lock_guard lock(mutex_);
  if (const auto own = in_flight_.find(key); own != in_flight_.end() && own->second == flight)
    in_flight_.erase(own);
  if (record) ready_[diff_id] = *record;
  changed_.notify_all();
  return record;
}

Result<BlobRecord> LayerIntake::VerifyOrConvert(const IncomingLayer& layer,
                                                const std::optional<BlobRecord>& known,
                                                const ImageStore::LoadOptions& options,
                                                const Cancelled& cancelled, Flight& flight) {
  if (known && IsWhole(*known)) {
    if (options.progress)
      options.progress({layer.diff_id, layer.size_bytes, layer.size_bytes, true});
    return *known;
  }
  for (;;) {
    bool resumed = false;
    auto record = Convert(layer, options, cancelled, flight, resumed);
    if (record && options.progress)
      options.progress({layer.diff_id, layer.size_bytes, layer.size_bytes, true});
    const bool wrong_bytes = !record && (record.error().code == ErrorCode::kDataLoss ||
                                         record.error().code == ErrorCode::kInvalidArgument);
    // What was kept may be what is wrong: it is gone now.
    if (!wrong_bytes || (!resumed && !layer.source->Distrust())) return record;
  }
}

Result<BlobRecord> LayerIntake::Convert(const IncomingLayer& layer,
                                        const ImageStore::LoadOptions& options,
                                        const Cancelled& cancelled, Flight& flight, bool& resumed) {
  ASSIGN_OR_RETURN(const auto bytes, partial_.Open(layer, options.deadline, cancelled));
  auto record = ConvertBytes(layer, *bytes, options, flight);
  resumed = bytes->resumed();
  const bool cut = !record && (record.error().code == ErrorCode::kUnavailable ||
                               record.error().code == ErrorCode::kDeadlineExceeded);
  bytes->Finish(record ? PartialLayers::End::kWhole
                       : (cut ? PartialLayers::End::kCut : PartialLayers::End::kWrong));
  return record;
}

Result<BlobRecord> LayerIntake::ConvertBytes(const IncomingLayer& layer, ByteSource& bytes,
                                             const ImageStore::LoadOptions& options,
                                             Flight& flight) {
  ASSIGN_OR_RETURN(auto file, folder_.CreateTemporary(DigestHex(layer.diff_id)));
  ProgressSource source(bytes, options.progress, layer.diff_id, layer.size_bytes,
                        flight.done_bytes);
  const auto algorithm =
      layer.digest.starts_with("sha512:") ? Hasher::Algorithm::kSha512 : Hasher::Algorithm::kSha256;
  ASSIGN_OR_RETURN(const auto converted, ConvertLayer(source, file.fd(), algorithm));
  if (!layer.digest.empty() && converted.compressed_digest != layer.digest)
    return Fail(ErrorCode::kDataLoss, "its bytes have digest {}, the manifest says {}",
                converted.compressed_digest, layer.digest);
  if (!layer.id_is_derived && converted.diff_id != layer.diff_id)
    return Fail(ErrorCode::kDataLoss, "unpacked it has digest {}, the config says {}",
                converted.diff_id, layer.diff_id);
  RETURN_IF_ERROR(file.MoveTo(folder_.BlobPath(layer.diff_id).value()));
  return BlobRecord{layer.diff_id, converted.size_bytes, converted.checksum,
                    converted.implicit_folders};
}

bool LayerIntake::IsWhole(const BlobRecord& blob) {
  const HostPath path = folder_.BlobPath(blob.diff_id);
  const auto stamp = StampOf(path);
  if (!stamp) return false;
  {
    const std::lock_guard lock(mutex_);
    const auto known = whole_.find(blob.diff_id);
    if (known != whole_.end() && known->second == *stamp) return true;
  }
  if (!VerifyBlob(path, blob)) return false;
  if (!stamp->IsRecent()) {
    const std::lock_guard lock(mutex_);
    whole_[blob.diff_id] = *stamp;
  }
  return true;
}

Status LayerIntake::RemoveBlobLocked(const std::string& diff_id) {
  whole_.erase(diff_id);
  return folder_.RemoveBlob(diff_id);
}

void LayerIntake::KeepFinished(Pins& pins) {
  const std::lock_guard lock(mutex_);
  const auto unfinished =
      std::stable_partition(pins.diff_ids_.begin(), pins.diff_ids_.end(),
                            [this](const auto& diff_id) { return ready_.contains(diff_id); });
  if (unfinished == pins.diff_ids_.begin()) return;
  kept_.push_back({{pins.diff_ids_.begin(), unfinished}, Deadline::After(kKeepFinished)});
  pins.diff_ids_.erase(pins.diff_ids_.begin(), unfinished);
}

void LayerIntake::DropKeptLocked() {
  partial_.Sweep();
  for (const Kept& kept : kept_)
    if (kept.until.expired()) UnpinLocked(kept.diff_ids);
  std::erase_if(kept_, [](const Kept& kept) { return kept.until.expired(); });
}

void LayerIntake::Unpin(const std::vector<std::string>& diff_ids) {
  const std::lock_guard lock(mutex_);
  UnpinLocked(diff_ids);
}

void LayerIntake::UnpinLocked(const std::vector<std::string>& diff_ids) {
  for (const auto& diff_id : diff_ids) {
    if (--pins_[diff_id] > 0) continue;
    pins_.erase(diff_id);
    ready_.erase(diff_id);
    const auto known = index_.Blob(diff_id);
    // Where the index cannot be asked the file stays; the next start sweeps it.
    if (known && !*known) (void)RemoveBlobLocked(diff_id);
  }
}

}  // namespace catamaran
