#include "vm-backend/host/guest_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kHead = 64 << 10;

struct Head {
  std::string bytes;  // the first 64 KiB
  uint64_t size = 0;
  uint64_t allocated = 0;

  std::string_view At(size_t offset, size_t count) const {
    return offset < bytes.size() ? std::string_view(bytes).substr(offset, count) : "";
  }
};

Result<Head> ReadHead(const std::string& path) {
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, "not configured");
  ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_RDONLY | O_NONBLOCK));
  struct stat status;
  if (fstat(file.get(), &status) != 0) return FailWithErrno("stat {}", path);
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalidArgument, "{}: not a file", path);
  Head head;
  head.size = static_cast<uint64_t>(status.st_size);
  head.allocated = static_cast<uint64_t>(status.st_blocks) * 512;
  head.bytes.resize(kHead);
  const ssize_t count = pread(file.get(), head.bytes.data(), kHead, 0);
  if (count < 0) return FailWithErrno("read {}", path);
  head.bytes.resize(count);
  return head;
}

double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

Result<std::string> LookAtKernel(const std::string& path) {
  ASSIGN_OR_RETURN(const Head head, ReadHead(path));
#if defined(__x86_64__)
  // Documentation/arch/x86/boot.rst: the header's magic, and where the version's text lies.
  if (head.At(0x202, 4) != "HdrS" || head.bytes.size() < 0x210)
    return Fail(ErrorCode::kInvalidArgument, "{}: not a Linux kernel (bzImage)", path);
  const auto byte = [&](size_t at) -> uint64_t {
    return static_cast<unsigned char>(head.bytes[at]);
  };
  // Setup sectors and the boot sector, then the kernel proper in units of 16 bytes.
  const uint64_t setup = ((byte(0x1f1) == 0 ? 4 : byte(0x1f1)) + 1) * 512;
  const uint64_t whole =
      setup + (byte(0x1f4) | byte(0x1f5) << 8 | byte(0x1f6) << 16 | byte(0x1f7) << 24) * 16;
  if (head.size < whole)
    return Fail(ErrorCode::kDataLoss, "{}: a Linux kernel of {} bytes, of which {} are there", path,
                whole, head.size);
  const std::string_view text = head.At(0x200 + (byte(0x20e) | byte(0x20f) << 8), 100);
  const std::string version(text.substr(0, text.find_first_of(std::string_view(" \0", 2))));
  return fmt::format("{}: Linux {}, {:.1f} MB", path, version, Megabytes(head.size));
#else
  return fmt::format("{}: {:.1f} MB", path, Megabytes(head.size));
#endif
}

Result<std::string> LookAtInitramfs(const std::string& path) {
  ASSIGN_OR_RETURN(const Head head, ReadHead(path));
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {{"\x1f\x8b", "gzip"},
                                                                      {"\x28\xb5\x2f\xfd", "zstd"},
                                                                      {"\xfd\x37\x7a\x58", "xz"},
                                                                      {"\x02\x21\x4c\x18", "lz4"},
                                                                      {"070701", "cpio"}};
  for (const auto& [magic, kind] : kKinds)
    if (head.bytes.starts_with(magic))
      return fmt::format("{}: {}, {:.1f} MB", path, kind, Megabytes(head.size));
  return Fail(ErrorCode::kInvalidArgument, "{}: not a cpio archive, plain or compressed", path);
}

Result<std::string> LookAtWritableDisk(const std::string& path) {
  ASSIGN_OR_RETURN(const Head head, ReadHead(path));
  if (head.At(1024 + 56, 2) != "\x53\xef")
    return Fail(ErrorCode::kInvalidArgument, "{}: not an ext4 image", path);
  return fmt::format("{}: ext4, {:.0f} MB, {:.1f} MB on disk", path, Megabytes(head.size),
                     Megabytes(head.allocated));
}

}  // namespace catamaran
