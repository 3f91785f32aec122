#include "cri/images/testing/tree_listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "cri/images/hasher.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {
namespace {

// Digest over the blocks that are not all zeros, with their offsets.
std::string ContentDigest(const std::string& path, off_t size) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return "cannot open";
  Hasher hasher;
  static const char kZeros[4096] = {};
  char block[4096];
  for (off_t at = lseek(file.get(), 0, SEEK_DATA); at >= 0 && at < size;) {
    const ssize_t count = pread(file.get(), block, sizeof(block) - at % sizeof(block), at);
    if (count <= 0) return "cannot read";
    if (memcmp(block, kZeros, static_cast<size_t>(count)) != 0) {
      hasher.Update(&at, sizeof(at));
      hasher.Update(block, static_cast<size_t>(count));
      at += count;
    } else {
      at = lseek(file.get(), at + count, SEEK_DATA);
    }
  }
  return hasher.Finish();
}

std::string Xattrs(const std::string& path) {
  std::vector<char> names(65536);
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return "cannot list xattrs";
  std::map<std::string, std::string> xattrs;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    std::vector<char> value(65536);
    const ssize_t length = lgetxattr(path.c_str(), name, value.data(), value.size());
    xattrs[name] = length < 0 ? "cannot read"
                              : Sha256Of({value.data(), static_cast<size_t>(length)}).substr(7, 12);
  }
  std::string text;
  for (const auto& [name, value] : xattrs) text += " " + name + "=" + value;
  return text;
}

class Lister {
 public:
  explicit Lister(const ListingOptions& options) : options_(options) {}

  void List(const std::string& root, const std::string& relative) {
    const std::string path = root + "/" + relative;
    lines_.push_back(Describe(path, relative));
    struct stat status = {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return;
    DIR* stream = opendir(path.c_str());
    if (stream == nullptr) {
      ADD_FAILURE() << "opendir " << path << ": " << strerror(errno);
      return;
    }
    std::set<std::string> names;
    while (const dirent* entry = readdir(stream)) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      EXPECT_TRUE(names.insert(name).second) << name << " is twice in " << path;
    }
    closedir(stream);
    for (const auto& name : names) List(root, relative.empty() ? name : relative + "/" + name);
  }
  std::vector<std::string> Take() {
    for (auto& [line, file] : links_)
      lines_[line] +=
          " links " +
          std::to_string(options_.count_names_as_links ? names_[file] : links_on_disk_[file]);
    return std::move(lines_);
  }

 private:
  std::string Describe(const std::string& path, const std::string& relative) {
    struct stat status = {};
    if (lstat(path.c_str(), &status) != 0) return relative + ": " + strerror(errno);
    const bool directory = S_ISDIR(status.st_mode);
    char text[256];
    snprintf(text, sizeof(text), ": mode %06o owner %u:%u", status.st_mode, status.st_uid,
             status.st_gid);
    std::string line = (relative.empty() ? "." : relative) + text;
    if (!directory || options_.directory_times) {
      snprintf(text, sizeof(text), " time %lld.%09ld",
               static_cast<long long>(status.st_mtim.tv_sec), status.st_mtim.tv_nsec);
      line += text;
    }
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
      line += " device " + std::to_string(major(status.st_rdev)) + ":" +
              std::to_string(minor(status.st_rdev));
    if (!directory) {
      const auto [first, added] =
          first_names_.try_emplace({status.st_dev, status.st_ino}, relative);
      line +=
          " size " + std::to_string(status.st_size) + (added ? "" : " same as " + first->second);
      links_.emplace_back(lines_.size(), first->first);
      links_on_disk_[first->first] = status.st_nlink;
      ++names_[first->first];
    }
    if (S_ISLNK(status.st_mode)) line += " to " + std::filesystem::read_symlink(path).string();
    if (S_ISREG(status.st_mode)) line += " " + ContentDigest(path, status.st_size);
    return line + Xattrs(path);
  }

  ListingOptions options_;
  std::vector<std::string> lines_;
  using File = std::pair<dev_t, ino_t>;
  std::map<File, std::string> first_names_;
  std::map<File, uint64_t> links_on_disk_;
  std::map<File, uint64_t> names_;
  std::vector<std::pair<size_t, File>> links_;  // of which line
};

}  // namespace

std::vector<std::string> ListTree(const std::filesystem::path& root,
                                  const ListingOptions& options) {
  Lister lister(options);
  lister.List(root.string(), "");
  return lister.Take();
}

void ExpectSameTree(const std::vector<std::string>& actual,
                    const std::vector<std::string>& expected) {
  std::vector<std::string> extra;
  std::vector<std::string> missing;
  const std::set<std::string> actual_set(actual.begin(), actual.end());
  const std::set<std::string> expected_set(expected.begin(), expected.end());
  for (const auto& line : actual)
    if (!expected_set.contains(line)) extra.push_back(line.substr(0, 700));
  for (const auto& line : expected)
    if (!actual_set.contains(line)) missing.push_back(line.substr(0, 700));
  extra.resize(std::min<size_t>(extra.size(), 8));
  missing.resize(std::min<size_t>(missing.size(), 8));
  EXPECT_EQ(extra, missing);
  EXPECT_EQ(actual.size(), expected.size());
}

}  // namespace catamaran
