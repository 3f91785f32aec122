// Folders: renames of whole trees, and what is in the way of them.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "e2e/probe/feature_tries.h"

namespace catamaran::e2e {
namespace {

// A folder with a folder and a file in it.
int MakeTree(const std::string& name) {
  if (mkdir(name.c_str(), 0755) != 0 || mkdir((name + "/below").c_str(), 0755) != 0) return errno;
  return Create((name + "/below/file").c_str(), name) < 0 ? errno : 0;
}

}  // namespace

int RenameFolder() {
  if (const int problem = MakeTree("old")) return problem;
  if (mkdir("other", 0755) != 0 || rename("old", "other/new") != 0) return errno;
  return Outcome(Content("other/new/below/file") == "old" && access("old", F_OK) != 0);
}

int RenameFolderOverAnother() {
  if (const int problem = MakeTree("one")) return problem;
  if (const int problem = MakeTree("full")) return problem;
  if (mkdir("empty", 0755) != 0) return errno;
  Create("file");
  if (rename("one", "full") == 0 || (errno != ENOTEMPTY && errno != EEXIST)) return kWrong;
  if (rename("one", "file") == 0 || errno != ENOTDIR) return kWrong;
  if (rename("one", "one/below/itself") == 0 || errno != EINVAL) return kWrong;
  if (rename("file", "empty") == 0 || errno != EISDIR) return kWrong;
  if (rename("one", "empty") != 0) return errno;
  return Outcome(Content("empty/below/file") == "one" && Content("full/below/file") == "full");
}

int ExchangeFolders() {
  if (const int problem = MakeTree("one")) return problem;
  if (const int problem = MakeTree("two")) return problem;
  if (renameat2(AT_FDCWD, "one", AT_FDCWD, "two/below", RENAME_EXCHANGE) != 0) return errno;
  return Outcome(Content("one/file") == "two" && Content("two/below/below/file") == "one");
}

int WorkInARenamedFolder() {
  if (const int problem = MakeTree("old")) return problem;
  const int file = open("old/below/file", O_RDWR);
  const int folder = open("old/below", O_RDONLY | O_DIRECTORY);
  if (chdir("old/below") != 0 || mkdir("../../home", 0755) != 0) return errno;
  if (rename("../../old", "../../home/new") != 0) return errno;
  char place[4096];
  if (getcwd(place, sizeof place) == nullptr) return errno;
  if (!std::string_view(place).ends_with("/home/new/below")) return kWrong;
  if (openat(folder, "made", O_CREAT | O_WRONLY, 0644) < 0 || pwrite(file, "N", 1, 0) != 1)
    return errno;
  return Outcome(Content("file") == "Nld" && access("../../new/below/made", F_OK) == 0 &&
                 access("../../../home", F_OK) == 0);
}

int RemoveWhileListing() {
  constexpr size_t kNames = 400;
  for (size_t i = 0; i < kNames; ++i)
    if (const int fd = Create(std::to_string(i).c_str()); fd < 0 || close(fd) != 0) return errno;
  DIR* folder = opendir(".");
  std::set<std::string> seen;
  while (const dirent* item = readdir(folder)) {
    const std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    if (!seen.insert(name).second) return kWrong;
    if (unlink(name.c_str()) != 0) return errno;
  }
  closedir(folder);
  return Outcome(seen.size() == kNames);
}

}  // namespace catamaran::e2e
