#include "cri/registry/testing/recorded_disk.h"

#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr off_t kDiskBytes = 96 << 20;
constexpr char kDiskName[] = "/disk";

struct Record {
  uint64_t is_flush = 0;
  uint64_t offset = 0;
  uint64_t size = 0;  // of the data that follows
};

// Of the server process.
int disk_fd = -1;
int log_fd = -1;
std::mutex log_mutex;

void Append(const Record& record, const char* data) {
  const std::lock_guard lock(log_mutex);
  std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
  if (data != nullptr) bytes.append(data, record.size);
  if (!WriteAll(log_fd, bytes)) abort();
}

int GetAttributes(const char* path, struct stat* status, fuse_file_info*) {
  memset(status, 0, sizeof(*status));
  const bool disk = strcmp(path, kDiskName) == 0;
  if (!disk && strcmp(path, "/") != 0) return -ENOENT;
  status->st_mode = disk ? S_IFREG | 0600 : S_IFDIR | 0700;
  status->st_nlink = 1;
  status->st_size = disk ? kDiskBytes : 0;
  return 0;
}

int Read(const char*, char* buffer, size_t size, off_t offset, fuse_file_info*) {
  const ssize_t count = pread(disk_fd, buffer, size, offset);
  return count < 0 ? -errno : static_cast<int>(count);
}

int Write(const char*, const char* data, size_t size, off_t offset, fuse_file_info*) {
  const ssize_t count = pwrite(disk_fd, data, size, offset);
  if (count < 0) return -errno;
  Append({0, static_cast<uint64_t>(offset), static_cast<uint64_t>(count)}, data);
  return static_cast<int>(count);
}

int Flush(const char*, int, fuse_file_info*) {
  Append({1, 0, 0}, nullptr);
  return 0;
}

// posix_spawn, so that no copy of a program with threads runs.
Result<pid_t> Spawn(const std::vector<std::string>& arguments) {
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
  if (error != 0) return FailErrno(error, "start " + arguments[0]);
  return pid;
}

// Calls `use` with each record and its data, until it says false.
template <typename Use>
Status ReadLog(const fs::path& path, Use use) {
  ASSIGN_OR_RETURN(const std::string log, ReadFile(path, 1 << 30));
  for (size_t at = 0; at + sizeof(Record) <= log.size();) {
    Record record;
    memcpy(&record, log.data() + at, sizeof(record));
    at += sizeof(record);
    if (!use(record, std::string_view(log).substr(at, record.size))) break;
    at += record.size;
  }
  return {};
}

}  // namespace

Status RunTool(const std::vector<std::string>& arguments) {
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(arguments));
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0)
    return Fail(ErrorCode::kInternal, "{} {}: status {}", arguments[0],
                arguments.size() > 1 ? arguments.back() : "", status);
  return {};
}

int RecordedDisk::Serve(const std::string& folder) {
  disk_fd = open((folder + "/current").c_str(), O_RDWR | O_CLOEXEC);
  log_fd = open((folder + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (disk_fd < 0 || log_fd < 0) return 1;
  fuse_operations operations{};
  operations.getattr = GetAttributes;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Flush;
  std::vector<std::string> texts = {"disk", "-f", folder + "/fuse"};
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  return fuse_main(static_cast<int>(argv.size()), argv.data(), &operations, nullptr);
}

Result<std::unique_ptr<RecordedDisk>> RecordedDisk::Create(const fs::path& folder) {
  for (const char* name : {"fuse", "mounted"}) RETURN_IF_ERROR(MakeDirectories(folder / name));
  {
    ASSIGN_OR_RETURN(const auto base, OpenFile(folder / "base", O_RDWR | O_CREAT, 0600));
    if (ftruncate(base.get(), kDiskBytes) != 0) return FailWithErrno("make a disk");
  }
  RETURN_IF_ERROR(
      RunTool({"/sbin/mkfs.ext4", "-q", "-E", "lazy_itable_init=0", (folder / "base").string()}));
  RETURN_IF_ERROR(RunTool(
      {"/bin/cp", "--sparse=always", (folder / "base").string(), (folder / "current").string()}));
  ASSIGN_OR_RETURN(const pid_t server, Spawn({"/usr/bin/setpriv", "--pdeathsig", "KILL",
                                              fs::read_symlink("/proc/self/exe").string(),
                                              kServerArgument, folder.string()}));
  std::unique_ptr<RecordedDisk> disk(new RecordedDisk(folder, server));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!Exists(folder / "fuse/disk")) {
    if (std::chrono::steady_clock::now() > end)
      return Fail(ErrorCode::kUnavailable, "the FUSE server does not serve");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  RETURN_IF_ERROR(RunTool({"/bin/mount", "-t", "ext4", "-o", "loop,commit=600",
                           (folder / "fuse/disk").string(), disk->mounted().string()}));
  disk->is_mounted_ = true;
  return disk;
}

RecordedDisk::~RecordedDisk() {
  (void)Unmount();
  (void)RunTool({"/bin/umount", "-l", (folder_ / "fuse").string()});
  kill(server_, SIGKILL);
  waitpid(server_, nullptr, 0);
}

Status RecordedDisk::Unmount() {
  if (!is_mounted_) return {};
  is_mounted_ = false;
  return RunTool({"/bin/umount", mounted().string()});
}

size_t RecordedDisk::flushes() const {
  size_t count = 0;
  (void)ReadLog(folder_ / "log", [&](const Record& record, std::string_view) {
    count += record.is_flush;
    return true;
  });
  return count;
}

Status RecordedDisk::Rebuild(size_t flushes, uint32_t seed, const fs::path& image) const {
  RETURN_IF_ERROR(
      RunTool({"/bin/cp", "--sparse=always", (folder_ / "base").string(), image.string()}));
  ASSIGN_OR_RETURN(const auto file, OpenFile(image, O_RDWR));
  std::minstd_rand random(seed);
  size_t seen = 0;
  bool written = true;
  RETURN_IF_ERROR(ReadLog(folder_ / "log", [&](const Record& record, std::string_view data) {
    seen += record.is_flush;
    if (seen > flushes) return false;
    const bool lost = seen == flushes && (seed == 0 || random() % 2 == 0);
    if (record.is_flush || lost) return true;
    written &= pwrite(file.get(), data.data(), data.size(), static_cast<off_t>(record.offset)) ==
               static_cast<ssize_t>(data.size());
    return true;
  }));
  if (!written) return Fail(ErrorCode::kInternal, "write {}", image.string());
  return {};
}

}  // namespace catamaran
