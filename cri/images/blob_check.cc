#include "cri/images/blob_check.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "cri/images/blob_folder.h"
#include "cri/images/erofs/output.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// ioprio_set(2); linux/ioprio.h is no C++.
constexpr int kOneThread = 1;
constexpr int kIdleClass = 3 << 13;

// Of this thread; where the kernel refuses, it reads like anybody else.
void GiveWayToOthers() {
  const auto thread = static_cast<id_t>(gettid());
  (void)setpriority(PRIO_PROCESS, thread, 19);
  (void)syscall(SYS_ioprio_set, kOneThread, thread, kIdleClass);
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

bool FileStamp::IsRecent() const {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now) - std::max(modified_ns, changed_ns) < 1'000'000'000;
}

std::optional<FileStamp> StampOf(const HostPath& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) return std::nullopt;
  return FileStamp{status.st_dev, status.st_ino, static_cast<uint64_t>(status.st_size),
                   Nanoseconds(status.st_mtim), Nanoseconds(status.st_ctim)};
}

Status VerifyBlob(const HostPath& path, const BlobRecord& record,
                  const std::function<bool()>& stop) {
  if (!HasSize(path, record.size_bytes))
    return Fail(ErrorCode::kDataLoss, "{} does not have {} bytes", path.string(),
                record.size_bytes);
  ASSIGN_OR_RETURN(const auto file, OpenFile(path.value(), O_RDONLY));
  ASSIGN_OR_RETURN(const uint32_t checksum,
                   erofs::ChecksumOfFile(file.get(), record.size_bytes, stop));
  if (checksum != record.checksum)
    return Fail(ErrorCode::kDataLoss, "{} has another checksum than recorded", path.string());
  return {};
}

BlobCheck::~BlobCheck() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void BlobCheck::Start(std::map<std::string, BlobRecord> blobs,
                      std::function<HostPath(const std::string& diff_id)> path_of,
                      std::function<void(const std::string& diff_id, const Error& why)> damaged,
                      std::function<void()> done) {
  thread_ = std::thread([this, blobs = std::move(blobs), path_of = std::move(path_of),
                         damaged = std::move(damaged), done = std::move(done)] {
    GiveWayToOthers();
    bool all_seen = true;
    for (const auto& [diff_id, record] : blobs) {
      const auto whole = VerifyBlob(path_of(diff_id), record, [this] { return stop_.load(); });
      if (stop_) return;
      if (whole) continue;
      // A lack of memory or descriptors says nothing of the disk.
      if (whole.error().code == ErrorCode::kResourceExhausted) {
        all_seen = false;
      } else {
        damaged(diff_id, whole.error());
      }
    }
    if (all_seen) done();
  });
}

}  // namespace catamaran
