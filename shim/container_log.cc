#include "shim/container_log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kReadSize = 64 << 10;
constexpr size_t kKeptCapacity = 32 << 10;
// Time, stream and tag before 16 KiB of text.
constexpr size_t kLongestRecord = (16 << 10) + 128;
constexpr int kOpenAttempts = 16;

timespec Now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

std::string Itself(const UniqueFd& fd) { return fmt::format("/proc/self/fd/{}", fd.get()); }

// What is at the path may be anybody's who can write to the log's folder. Something else than a
// regular file is refused before it is opened: opening a FIFO waits, opening a device may do
// anything. O_NONBLOCK: nobody waits for a lease to be given up either (fcntl(2)).
Result<UniqueFd> OpenLog(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  // Somebody may put a file there, or take it away, between two of these steps.
  for (int attempt = 0; attempt < kOpenAttempts; ++attempt) {
    auto made = OpenFile(path, kFlags | O_CREAT | O_EXCL, 0640);
    if (made || made.error().system_errno != EEXIST) return made;
    const auto found = OpenFile(path, O_PATH | O_NOFOLLOW);
    if (!found && found.error().system_errno == ENOENT) continue;
    if (!found) return tl::unexpected(found.error());
    struct stat status;
    if (fstat(found->get(), &status) != 0) return FailWithErrno("stat log {}", path);
    if (!S_ISREG(status.st_mode))
      return Fail(ErrorCode::kFailedPrecondition, "log {} is no regular file (mode {:o})", path,
                  status.st_mode);
    // This very file, whatever has the name now. (O_NOFOLLOW would refuse the magic link.)
    auto file = OpenFile(Itself(*found), kFlags & ~O_NOFOLLOW);
    if (!file) return tl::unexpected(std::move(file).error().While("log " + path));
    return file;
  }
  return Fail(ErrorCode::kUnavailable, "log {} comes and goes", path);
}

}  // namespace

Result<std::unique_ptr<ContainerLog>> ContainerLog::Open(EventLoop& loop, std::string path,
                                                         UniqueFd out, UniqueFd err) {
  auto log = std::unique_ptr<ContainerLog>(new ContainerLog(loop, std::move(path)));
  if (!log->path_.empty()) {
    ASSIGN_OR_RETURN(log->file_, OpenLog(log->path_));
  }
  RETURN_IF_ERROR(log->Watch(log->out_, std::move(out)));
  RETURN_IF_ERROR(log->Watch(log->err_, std::move(err)));
  return log;
}

void ContainerLog::TellOfGap() {
  if (!file_.valid()) return;
  CutTornRecord();
  LogFormatter("stderr").Append(
      "catamaran: the process that writes this log was killed; output may be missing here\n", Now(),
      records_);
  WriteRecords();
}

// The file ends within a record where a write(2) was cut short by the writer's death.
void ContainerLog::CutTornRecord() {
  auto file = OpenFile(Itself(file_), O_RDONLY | O_NONBLOCK);
  struct stat status;
  if (!file || fstat(file->get(), &status) != 0) return;
  char tail[kLongestRecord];
  const off_t begin = std::max<off_t>(0, status.st_size - static_cast<off_t>(sizeof tail));
  const ssize_t count = pread(file->get(), tail, sizeof tail, begin);
  if (count <= 0) return;
  const size_t newline = std::string_view(tail, count).rfind('\n');
  const off_t whole =
      begin + static_cast<off_t>(newline == std::string_view::npos ? 0 : newline + 1);
  // Not a whole record within the longest there are: the file is not one of ours.
  if (newline == std::string_view::npos && begin > 0) return;
  if (whole < status.st_size) {
    [[maybe_unused]] const int cut = ftruncate(file_.get(), whole);
  }
}

Status ContainerLog::Watch(Stream& stream, UniqueFd fd) {
  if (!fd.valid()) return {};
  RETURN_IF_ERROR(SetNonBlocking(fd.get()));
  stream.fd = std::move(fd);
  ASSIGN_OR_RETURN(stream.watch, loop_.WatchFd(stream.fd.get(), EPOLLIN, [this, &stream](uint32_t) {
    size_t count;
    ReadOnce(stream, kReadSize, &count);
    WriteRecords();
  }));
  return {};
}

void ContainerLog::Stream::SetReading(bool on) {
  // One that has ended has nothing to change.
  if (watch.active()) watch.SetEvents(on ? EPOLLIN : 0U).map_error([](const Error&) {});
}

Status ContainerLog::Attach(UniqueFd out, UniqueFd err) {
  // A stream that has ended, or that a terminal has not, ends for its watchers at once.
  if (out_.fd.valid()) RETURN_IF_ERROR(out_.attached.Add(std::move(out)));
  if (err_.fd.valid()) RETURN_IF_ERROR(err_.attached.Add(std::move(err)));
  return {};
}

bool ContainerLog::ReadOnce(Stream& stream, size_t limit, size_t* count) {
  char buffer[kReadSize];
  const ssize_t result = read(stream.fd.get(), buffer, std::min(limit, sizeof buffer));
  *count = std::max<ssize_t>(result, 0);
  if (result < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (result <= 0) {
    stream.formatter.Finish(Now(), records_);
    stream.watch.Cancel();
    stream.fd.Reset();
    stream.attached.End();
    return false;
  }
  stream.formatter.Append({buffer, *count}, Now(), records_);
  stream.attached.Write({buffer, *count});
  if (stream.attached.lags()) stream.SetReading(false);
  return true;
}

// As much as is there now: whoever still holds the pipe may go on writing for ever.
void ContainerLog::DrainStream(Stream& stream) {
  int available = 0;
  if (!stream.fd.valid() || ioctl(stream.fd.get(), FIONREAD, &available) != 0) return;
  for (size_t left = available; left > 0;) {
    size_t count;
    if (!ReadOnce(stream, left, &count)) break;
    left -= count;
    WriteRecords();
  }
  if (stream.fd.valid()) stream.formatter.Finish(Now(), records_);
  stream.attached.End();
}

void ContainerLog::Drain() {
  DrainStream(out_);
  DrainStream(err_);
  WriteRecords();
}

Status ContainerLog::Reopen() {
  if (path_.empty()) return {};
  ASSIGN_OR_RETURN(file_, OpenLog(path_));
  return {};
}

void ContainerLog::WriteRecords() {
  size_t written = 0;
  while (file_.valid() && written < records_.size()) {
    const ssize_t count = write(file_.get(), records_.data() + written, records_.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    written += count;
  }
  if (file_.valid() && written < records_.size()) {
    const size_t newline = written == 0 ? std::string::npos : records_.rfind('\n', written - 1);
    const size_t whole = newline == std::string::npos ? 0 : newline + 1;
    struct stat status;
    // The next record must not continue this one's first half.
    if (written > whole && fstat(file_.get(), &status) == 0 &&
        status.st_size >= static_cast<off_t>(written - whole)) {
      [[maybe_unused]] const int cut =
          ftruncate(file_.get(), status.st_size - static_cast<off_t>(written - whole));
    }
  }
  records_.clear();
  if (records_.capacity() > kKeptCapacity) records_.shrink_to_fit();
}

}  // namespace catamaran
