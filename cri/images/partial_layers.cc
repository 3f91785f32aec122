#include "cri/images/partial_layers.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "cri/images/hasher.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Less is fetched again as fast.
constexpr uint64_t kSmallestLayer = 4 << 20;
constexpr uint64_t kLeastKept = 1 << 20;
// The kubelet tries again within five minutes; somebody who repairs a network needs longer.
constexpr time_t kKeptSeconds = 3600;
constexpr uint64_t kMostKept = uint64_t{16} << 30;
// A layer and its blob must fit many times: room for pulls comes before convenience.
constexpr uint64_t kRoom = 10;

}  // namespace

Result<size_t> PartialLayers::Layer::Read(char* buffer, size_t size) {
  if (rest_ == nullptr && offset_ < kept_) {
    const size_t wanted = std::min<uint64_t>(size, kept_ - offset_);
    const ssize_t count = pread(file_.get(), buffer, wanted, static_cast<off_t>(offset_));
    if (count > 0) {
      resumed_ = true;
      offset_ += static_cast<uint64_t>(count);
      return static_cast<size_t>(count);
    }
  }
  // Also where what is kept cannot be read.
  if (rest_ == nullptr) {
    if (offset_ > 0 && offset_ == size_) return size_t{0};
    ASSIGN_OR_RETURN(rest_, source_.OpenAt(offset_, deadline_, cancelled_));
  }
  ASSIGN_OR_RETURN(const size_t count, rest_->Read(buffer, size));
  Keep(buffer, count);
  offset_ += count;
  return count;
}

void PartialLayers::Layer::Keep(const char* bytes, size_t count) {
  if (path_.empty() || count == 0) return;
  const ssize_t written = pwrite(file_.get(), bytes, count, static_cast<off_t>(offset_));
  if (written != static_cast<ssize_t>(count)) StopKeeping();
}

void PartialLayers::Layer::StopKeeping() {
  if (path_.empty()) return;
  unlink(path_.c_str());
  path_.clear();
  file_.Reset();
}

void PartialLayers::Layer::Finish(End end) {
  // What came this time may be less than what was kept.
  if (end != End::kCut || std::max(offset_, kept_) < kLeastKept) return StopKeeping();
  path_.clear();
  file_.Reset();
}

PartialLayers::Layer::~Layer() { StopKeeping(); }

bool PartialLayers::HasRoomFor(uint64_t bytes) const {
  struct statvfs info = {};
  return statvfs(folder_.c_str(), &info) == 0 &&
         info.f_bavail / kRoom > bytes / std::max<uint64_t>(info.f_frsize, 1);
}

void PartialLayers::OpenFileOf(const IncomingLayer& layer, Layer& opened) const {
  const std::string name = DigestHex(Sha256Of(layer.source->Origin() + " " + layer.digest));
  const HostPath path = folder_ / name;
  auto file = OpenFile(path.value(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!file || flock(file->get(), LOCK_EX | LOCK_NB) != 0) return;
  struct stat there = {}, own = {};
  // Whoever had the lock before may have removed it.
  if (stat(path.c_str(), &there) != 0 || fstat(file->get(), &own) != 0 ||
      there.st_ino != own.st_ino || !S_ISREG(own.st_mode))
    return;
  const auto size = static_cast<uint64_t>(own.st_size);
  if (size <= layer.size_bytes) {
    opened.kept_ = size;
  } else if (ftruncate(file->get(), 0) != 0) {
    return;
  }
  opened.path_ = path.string();
  opened.file_ = std::move(*file);
}

Result<std::unique_ptr<PartialLayers::Layer>> PartialLayers::Open(
    const IncomingLayer& layer, Deadline deadline, std::function<bool()> cancelled) const {
  std::unique_ptr<Layer> opened(new Layer(*layer.source, deadline, cancelled));
  opened->size_ = layer.size_bytes;
  const bool is_worth_it = layer.size_bytes >= kSmallestLayer && !layer.digest.empty() &&
                           layer.source->CanResume() && HasRoomFor(layer.size_bytes);
  if (is_worth_it) OpenFileOf(layer, *opened);
  if (opened->kept_ == 0) {
    // So that a host that is out of reach is said before anything is made of the layer.
    ASSIGN_OR_RETURN(opened->rest_, layer.source->OpenAt(0, deadline, cancelled));
  }
  return opened;
}

void PartialLayers::Sweep() const {
  struct Entry {
    time_t written;
    uint64_t bytes;
    std::string path;
  };
  std::vector<Entry> entries;
  const auto names = ListDirectory(folder_.value());
  if (!names) return;
  for (const auto& name : *names) {
    const std::string path = (folder_ / name).string();
    struct stat info = {};
    if (lstat(path.c_str(), &info) != 0) continue;
    entries.push_back({info.st_mtime, static_cast<uint64_t>(info.st_blocks) * 512, path});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.written > b.written; });
  const time_t now = time(nullptr);
  uint64_t total = 0;
  for (const Entry& entry : entries) {
    total += entry.bytes;
    // A file whose layer is being read may go too: it is then only not kept.
    if (total > kMostKept || entry.written + kKeptSeconds < now || entry.written > now + 60)
      unlink(entry.path.c_str());
  }
}

}  // namespace catamaran
