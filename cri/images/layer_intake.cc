#include "cri/images/layer_intake.h"

#include <fcntl.h>

#include <algorithm>
#include <thread>

#include "cri/images/erofs/output.h"
#include "cri/images/layer/layer_converter.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumThreads = 4;

// Tells the caller's sink how far a layer has come, not more often than each 1 MiB.
class ProgressSource : public ByteSource {
 public:
  ProgressSource(ByteSource& from, const ImageStore::ProgressSink& sink, std::string layer,
                 uint64_t total)
      : from_(from), sink_(sink), progress_{std::move(layer), 0, total, false} {}

  Result<size_t> Read(char* buffer, size_t size) override {
    ASSIGN_OR_RETURN(const size_t count, from_.Read(buffer, size));
    progress_.done_bytes += count;
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
  uint64_t told_ = 0;
};

Status VerifyBlob(const HostPath& path, const BlobRecord& record) {
  if (!HasSize(path, record.size_bytes))
    return Fail(ErrorCode::kDataLoss, "{} does not have {} bytes", path.string(),
                record.size_bytes);
  ASSIGN_OR_RETURN(const auto file, OpenFile(path.value(), O_RDONLY));
  ASSIGN_OR_RETURN(const uint32_t checksum, erofs::ChecksumOfFile(file.get(), record.size_bytes));
  if (checksum != record.checksum)
    return Fail(ErrorCode::kDataLoss, "{} has another checksum than recorded", path.string());
  return {};
}

}  // namespace

std::set<std::string> LayerIntake::PinnedLocked() const {
  std::set<std::string> pinned;
  for (const auto& [diff_id, count] : pins_) pinned.insert(diff_id);
  return pinned;
}

Result<std::vector<BlobRecord>> LayerIntake::Take(const std::vector<ArchivedLayer>& layers,
                                                  const ImageStore::LoadOptions& options,
                                                  Pins& pins) {
  std::vector<BlobRecord> records(layers.size());
  std::atomic<size_t> next{0};
  std::atomic<bool> cancelled{false};
  std::mutex error_mutex;
  std::optional<Error> first_error;
  const auto work = [&] {
    for (size_t i = next++; i < layers.size() && !cancelled; i = next++) {
      auto record = TakeOne(layers[i], options, pins, cancelled);
      if (record) {
        records[i] = std::move(*record);
        continue;
      }
      const std::lock_guard lock(error_mutex);
      if (!first_error) first_error = std::move(record).error().While("layer " + layers[i].diff_id);
      cancelled = true;
    }
  };
  const size_t wanted = std::min(
      {layers.size(), kMaximumThreads, std::max<size_t>(2, std::thread::hardware_concurrency())});
  std::vector<std::thread> threads;
  for (size_t i = 1; i < wanted; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  if (first_error) return tl::unexpected(std::move(*first_error));
  return records;
}

Result<BlobRecord> LayerIntake::TakeOne(const ArchivedLayer& layer,
                                        const ImageStore::LoadOptions& options, Pins& pins,
                                        const std::atomic<bool>& cancelled) {
  const std::string& diff_id = layer.diff_id;
  std::optional<BlobRecord> known;
  {
    std::unique_lock lock(mutex_);
    while (in_flight_.contains(diff_id)) {
      if (options.deadline.expired() || cancelled)
        return Fail(ErrorCode::kDeadlineExceeded, "another load was still working on it");
      changed_.wait_for(lock,
                        std::min(options.deadline.Remaining(), std::chrono::milliseconds(100)));
    }
    ++pins_[diff_id];
    pins.diff_ids_.push_back(diff_id);
    if (const auto ready = ready_.find(diff_id); ready != ready_.end()) return ready->second;
    ASSIGN_OR_RETURN(known, index_.Blob(diff_id));
    in_flight_.insert(diff_id);
  }
  auto record = VerifyOrConvert(layer, known, options, cancelled);
  const std::lock_guard lock(mutex_);
  in_flight_.erase(diff_id);
  if (record) ready_[diff_id] = *record;
  changed_.notify_all();
  return record;
}

Result<BlobRecord> LayerIntake::VerifyOrConvert(const ArchivedLayer& layer,
                                                const std::optional<BlobRecord>& known,
                                                const ImageStore::LoadOptions& options,
                                                const std::atomic<bool>& cancelled) {
  const bool whole = known && VerifyBlob(folder_.BlobPath(layer.diff_id), *known);
  auto record = whole ? Result<BlobRecord>(*known) : Convert(layer, options, cancelled);
  if (record && options.progress)
    options.progress({layer.diff_id, layer.part.size, layer.part.size, true});
  return record;
}

Result<BlobRecord> LayerIntake::Convert(const ArchivedLayer& layer,
                                        const ImageStore::LoadOptions& options,
                                        const std::atomic<bool>& cancelled) {
  ASSIGN_OR_RETURN(auto file, folder_.CreateTemporary(DigestHex(layer.diff_id)));
  FilePartSource part(layer.part.file->get(), layer.part.offset, layer.part.size, options.deadline,
                      [&] { return cancelled.load(); });
  ProgressSource source(part, options.progress, layer.diff_id, layer.part.size);
  const auto algorithm =
      layer.digest.starts_with("sha512:") ? Hasher::Algorithm::kSha512 : Hasher::Algorithm::kSha256;
  ASSIGN_OR_RETURN(const auto converted, ConvertLayer(source, file.fd(), algorithm));
  if (!layer.digest.empty() && converted.compressed_digest != layer.digest)
    return Fail(ErrorCode::kDataLoss, "its bytes have digest {}, the manifest says {}",
                converted.compressed_digest, layer.digest);
  if (converted.diff_id != layer.diff_id)
    return Fail(ErrorCode::kDataLoss, "unpacked it has digest {}, the config says {}",
                converted.diff_id, layer.diff_id);
  RETURN_IF_ERROR(file.MoveTo(folder_.BlobPath(layer.diff_id).value()));
  return BlobRecord{layer.diff_id, converted.size_bytes, converted.checksum,
                    converted.implicit_folders};
}

void LayerIntake::Unpin(const std::vector<std::string>& diff_ids) {
  const std::lock_guard lock(mutex_);
  for (const auto& diff_id : diff_ids) {
    if (--pins_[diff_id] > 0) continue;
    pins_.erase(diff_id);
    ready_.erase(diff_id);
    const auto known = index_.Blob(diff_id);
    // Where the index cannot be asked the file stays; the next start sweeps it.
    if (known && !*known) (void)folder_.RemoveBlob(diff_id);
  }
}

}  // namespace catamaran
