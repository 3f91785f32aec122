#define OPENSSL_SUPPRESS_DEPRECATED  // the EVP interface would link all of libcrypto into the shim
#include "vm-backend/templates/template_files.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kChunk = 1 << 20;
constexpr int kSeals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

class Sha256 {
 public:
  Sha256() { SHA256_Init(&context_); }
  void Add(const void* data, size_t size) { SHA256_Update(&context_, data, size); }
  // Where the next data lies: zeros in between count by their number only, so that a nearly empty
  // gigabyte is not hashed byte by byte.
  void AddRun(off_t offset, size_t size) {
    const uint64_t header[2] = {static_cast<uint64_t>(offset), size};
    Add(header, sizeof header);
  }
  std::string Finish() {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_Final(digest, &context_);
    std::string text;
    for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
    return text;
  }

 private:
  SHA256_CTX context_;
};

bool IsZero(const char* data, size_t size) {
  return size == 0 || (data[0] == 0 && std::equal(data, data + size - 1, data + 1));
}

Result<off_t> SizeOf(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return FailWithErrno("fstat");
  return status.st_size;
}

// Calls visit(offset, data, size) for every chunk that is not zero, in order.
template <typename Visit>
Status VisitData(int fd, Visit visit) {
  ASSIGN_OR_RETURN(const off_t size, SizeOf(fd));
  std::vector<char> buffer(kChunk);
  off_t offset = 0;
  while (offset < size) {
    const off_t data = lseek(fd, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only holes follow
    if (data >= 0) offset = data / kChunk * kChunk;
    const size_t wanted = std::min<off_t>(kChunk, size - offset);
    const ssize_t count = pread(fd, buffer.data(), wanted, offset);
    if (count < 0) return FailWithErrno("read");
    if (static_cast<size_t>(count) != wanted)
      return Fail(ErrorCode::kDataLoss, "ends at {} of {} bytes", offset + count, size);
    if (!IsZero(buffer.data(), wanted)) RETURN_IF_ERROR(visit(offset, buffer.data(), wanted));
    offset += wanted;
  }
  return {};
}

// Copies a file sparsely, from and to offset 0. Returns the digest of what was copied.
Result<std::string> CopySparse(int from, int to) {
  ASSIGN_OR_RETURN(const off_t size, SizeOf(from));
  if (ftruncate(to, size) != 0) return FailWithErrno("ftruncate to {}", size);
  Sha256 digest;
  RETURN_IF_ERROR(VisitData(from, [&](off_t offset, const char* data, size_t count) -> Status {
    digest.AddRun(offset, count);
    digest.Add(data, count);
    for (size_t done = 0; done < count;) {
      const ssize_t written = pwrite(to, data + done, count - done, offset + done);
      if (written < 0) return FailWithErrno("write");
      done += written;
    }
    return {};
  }));
  digest.AddRun(size, 0);
  return digest.Finish();
}

// The end of a folder's name while it is saved; its saver holds a lock on it.
constexpr std::string_view kUnfinished = ".new";

// What a crash left: nobody holds its lock.
bool IsAbandoned(const HostPath& folder) {
  const auto fd = OpenFile(folder.value(), O_RDONLY | O_DIRECTORY);
  return fd && flock(fd->get(), LOCK_EX | LOCK_NB) == 0;
}

struct Manifest {
  TemplateSizes sizes;
  std::string memory_digest;
  std::string state_digest;
};

std::string Format(const Manifest& manifest) {
  return fmt::format("catamaran-template 1\nmemory {} {}\nstate {} {}\n",
                     manifest.sizes.memory_bytes, manifest.memory_digest,
                     manifest.sizes.state_bytes, manifest.state_digest);
}

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", start), text.size());
    if (end > start) words.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

Result<Manifest> ReadManifest(const HostPath& folder) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile((folder / "manifest").value(), 4096));
  const auto words = Words(text);
  Manifest manifest;
  const auto number = [&](size_t index, uint64_t& value) {
    const std::string& word = words[index];
    const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), value);
    return problem == std::errc() && end == word.data() + word.size();
  };
  if (words.size() != 8 || words[0] != "catamaran-template" || words[1] != "1" ||
      words[2] != "memory" || words[5] != "state" || !number(3, manifest.sizes.memory_bytes) ||
      !number(6, manifest.sizes.state_bytes))
    return Fail(ErrorCode::kDataLoss, "{}: not a template's manifest", folder.string());
  manifest.memory_digest = words[4];
  manifest.state_digest = words[7];
  return manifest;
}

Status LoadFile(const HostPath& path, int into, uint64_t size, const std::string& digest) {
  ASSIGN_OR_RETURN(const auto file, OpenFile(path.value(), O_RDONLY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(const off_t found, SizeOf(file.get()));
  if (static_cast<uint64_t>(found) != size)
    return Fail(ErrorCode::kDataLoss, "{}: {} bytes, {} expected", path.string(), found, size);
  ASSIGN_OR_RETURN(const std::string actual, CopySparse(file.get(), into));
  if (actual != digest)
    return Fail(ErrorCode::kDataLoss, "{}: its digest is not the recorded one", path.string());
  return {};
}

}  // namespace

Result<UniqueFd> MakeTemplateFile(const std::string& name, uint64_t size_bytes) {
  UniqueFd fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return FailWithErrno("memfd_create {}", name);
  if (ftruncate(fd.get(), size_bytes) != 0) return FailWithErrno("size {} to {}", name, size_bytes);
  return fd;
}

Status SealTemplate(const Template& saved) {
  for (const UniqueFd* fd : {&saved.memory, &saved.state}) {
    if (fcntl(fd->get(), F_ADD_SEALS, kSeals) == 0) continue;
    if (errno == EBUSY)
      return Fail(ErrorCode::kFailedPrecondition, "a process still writes to the template");
    return FailWithErrno("seal the template");
  }
  return {};
}

Status SaveTemplate(const HostPath& root, const std::string& key, const Template& saved) {
  RETURN_IF_ERROR(MakeDirectories(root.value()));
  uint64_t number = 0;  // two keepers may save one key
  if (getrandom(&number, sizeof number, 0) != sizeof number) return FailWithErrno("getrandom");
  const HostPath folder = root / fmt::format("{}.{:x}{}", key, number, kUnfinished);
  RETURN_IF_ERROR(MakeDirectories(folder.value()));
  ASSIGN_OR_RETURN(const auto lock, OpenFile(folder.value(), O_RDONLY | O_DIRECTORY));
  if (flock(lock.get(), LOCK_SH | LOCK_NB) != 0) return FailWithErrno("lock {}", folder.string());
  Cleanup cleanup([&] { [[maybe_unused]] const auto gone = RemoveTree(folder.value()); });
  AbortStep();
  Manifest manifest;
  const auto save = [&](const char* name, int from, uint64_t& size, std::string& digest) -> Status {
    ASSIGN_OR_RETURN(const auto file,
                     OpenFile((folder / name).value(), O_WRONLY | O_CREAT | O_EXCL, 0400));
    ASSIGN_OR_RETURN(size, SizeOf(from));
    ASSIGN_OR_RETURN(digest, CopySparse(from, file.get()));
    return {};
  };
  RETURN_IF_ERROR(
      save("memory", saved.memory.get(), manifest.sizes.memory_bytes, manifest.memory_digest));
  RETURN_IF_ERROR(
      save("state", saved.state.get(), manifest.sizes.state_bytes, manifest.state_digest));
  RETURN_IF_ERROR(ReplaceFile((folder / "manifest").value(), Format(manifest), 0400,
                              Durability::kProcessCrash));
  RETURN_IF_ERROR(RemoveTree((root / key).value()));
  if (rename(folder.c_str(), (root / key).c_str()) != 0)
    return FailWithErrno("rename {}", folder.string());
  cleanup.Dismiss();
  AbortStep();
  return {};
}

Result<TemplateSizes> FindTemplate(const HostPath& root, const std::string& key) {
  ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(root / key));
  return manifest.sizes;
}

Status LoadTemplate(const HostPath& root, const std::string& key, const Template& into) {
  const HostPath folder = root / key;
  auto load = [&]() -> Status {
    ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(folder));
    RETURN_IF_ERROR(LoadFile(folder / "memory", into.memory.get(), manifest.sizes.memory_bytes,
                             manifest.memory_digest));
    return LoadFile(folder / "state", into.state.get(), manifest.sizes.state_bytes,
                    manifest.state_digest);
  };
  auto loaded = load();
  if (!loaded && loaded.error().code == ErrorCode::kDataLoss)
    RETURN_IF_ERROR(RemoveTree(folder.value()));
  if (loaded) utimensat(AT_FDCWD, folder.c_str(), nullptr, 0);  // for TrimTemplates
  return loaded;
}

Status TrimTemplates(const HostPath& root, size_t keep) {
  if (!Exists(root.value())) return {};
  ASSIGN_OR_RETURN(const auto names, ListDirectory(root.value()));
  std::vector<std::pair<int64_t, std::string>> by_use;
  for (const std::string& name : names) {
    struct stat status;
    if (name.ends_with(kUnfinished)) {
      if (IsAbandoned(root / name)) RETURN_IF_ERROR(RemoveTree((root / name).value()));
    } else if (stat((root / name).c_str(), &status) == 0) {
      by_use.emplace_back(status.st_mtim.tv_sec, name);
    }
  }
  std::sort(by_use.rbegin(), by_use.rend());
  for (size_t i = keep; i < by_use.size(); ++i)
    RETURN_IF_ERROR(RemoveTree((root / by_use[i].second).value()));
  return {};
}

Result<std::string> DigestOf(int fd) {
  ASSIGN_OR_RETURN(const off_t size, SizeOf(fd));
  Sha256 digest;
  RETURN_IF_ERROR(VisitData(fd, [&](off_t offset, const char* data, size_t count) -> Status {
    digest.AddRun(offset, count);
    digest.Add(data, count);
    return {};
  }));
  digest.AddRun(size, 0);
  return digest.Finish();
}

std::string DigestOf(const std::string& text) {
  Sha256 digest;
  digest.Add(text.data(), text.size());
  return digest.Finish();
}

}  // namespace catamaran
