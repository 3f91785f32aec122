#include "cri/image_commands.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "cri/images/image_store.h"
#include "cri/service/directory_lock.h"
#include "cri/service/grpc_client.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using ImageLine = DaemonClient::ImageLine;

// A process that took the lock a moment ago has not said yet who it is, and another command is
// soon done.
constexpr auto kOwnerPatience = std::chrono::seconds(60);

// One line per layer when it is done; on a terminal also how far it is. Thread-safe.
class ProgressPrinter {
 public:
  void operator()(const ImageStore::Progress& progress) {
    std::lock_guard lock(mutex_);
    if (progress.finished) {
      fmt::print(stderr, "{}layer {}: {:.1f} MB done\n", terminal_ ? "\r\x1b[K" : "",
                 progress.layer, Megabytes(progress.done_bytes));
      return;
    }
    if (!terminal_ || progress.total_bytes == 0) return;
    const uint64_t percent = progress.done_bytes * 100 / progress.total_bytes;
    uint64_t& shown = shown_[progress.layer];
    if (percent == shown) return;
    shown = percent;
    fmt::print(stderr, "\r\x1b[Klayer {}: {}% of {:.1f} MB", progress.layer, percent,
               Megabytes(progress.total_bytes));
  }

 private:
  static double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

  std::mutex mutex_;
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  std::map<std::string, uint64_t> shown_;  // percent, by layer
};

// Who works with the store: this process, which then holds the root folder's lock, or a daemon.
struct StoreAccess {
  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<ImageStore> store;
  std::unique_ptr<DaemonClient> daemon;
};

Result<StoreAccess> OpenStore(const Config& config) {
  RETURN_IF_ERROR(MakeDirectories(config.root.value(), 0700));
  StoreAccess access;
  auto lock = DirectoryLock::Take(config.root, fmt::format("catamaran image, pid {}", getpid()),
                                  Deadline::After(kOwnerPatience));
  if (lock) {
    access.lock = std::make_unique<DirectoryLock>(std::move(*lock));
    ASSIGN_OR_RETURN(access.store, ImageStore::Open(config.root / "images", config.images.pinned));
    return access;
  }
  if (lock.error().code != ErrorCode::kFailedPrecondition) {
    return tl::unexpected(std::move(lock).error());
  }
  ASSIGN_OR_RETURN(const std::string holder, DirectoryLock::Holder(config.root));
  if (!SocketPathOf(holder)) return tl::unexpected(std::move(lock).error());
  ASSIGN_OR_RETURN(access.daemon, DaemonClient::Create(holder));
  return access;
}

std::vector<ImageLine> ToLines(const std::vector<Image>& images) {
  std::vector<ImageLine> lines;
  for (const Image& image : images) lines.push_back({image.id, image.repo_tags, image.size_bytes});
  return lines;
}

void Print(const std::vector<ImageLine>& lines) {
  for (const ImageLine& line : lines) {
    const std::string tags =
        line.repo_tags.empty() ? "<none>" : fmt::format("{}", fmt::join(line.repo_tags, ","));
    fmt::print("{}  {:>9.1f} MB  {}\n", line.id, static_cast<double>(line.size_bytes) / 1e6, tags);
  }
}

}  // namespace

Status ImageLoadCommand(const Config& config, const std::string& source,
                        const std::string& reference) {
  std::error_code error;
  const HostPath path(std::filesystem::canonical(source, error));
  if (error) return FailErrno(error.value(), "find " + source);
  ASSIGN_OR_RETURN(const StoreAccess access, OpenStore(config));
  auto printer = std::make_shared<ProgressPrinter>();
  const auto progress = [printer](const ImageStore::Progress& p) { (*printer)(p); };
  if (access.daemon != nullptr) {
    ASSIGN_OR_RETURN(const auto lines, access.daemon->LoadImage(path, reference, progress));
    Print(lines);
    return {};
  }
  ASSIGN_OR_RETURN(const auto images,
                   access.store->Load(path, {reference, progress, Deadline::Never()}));
  Print(ToLines(images));
  return {};
}

Status ImageListCommand(const Config& config) {
  ASSIGN_OR_RETURN(const StoreAccess access, OpenStore(config));
  if (access.daemon != nullptr) {
    ASSIGN_OR_RETURN(const auto lines, access.daemon->ListImages());
    Print(lines);
    return {};
  }
  ASSIGN_OR_RETURN(const auto images, access.store->List());
  Print(ToLines(images));
  return {};
}

}  // namespace catamaran
