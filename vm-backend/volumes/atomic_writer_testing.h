#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace catamaran {

// For tests: writes a folder as the kubelet's atomic writer does (k8s.io/kubernetes,
// pkg/volume/util/atomic_writer.go): a folder with a new name, "..data" swapped to it by a rename,
// a link for each name, what is stale removed afterwards.
class AtomicWriter {
 public:
  explicit AtomicWriter(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }

  struct File {
    std::string content;
    mode_t mode = 0644;
    uid_t uid = geteuid();
    gid_t gid = getegid();
  };
  void Write(const std::map<std::string, File>& files) {
    namespace fs = std::filesystem;
    const std::string next = "..2026_11_23_" + std::to_string(++generation_);
    fs::create_directory(folder_ / next);
    for (const auto& [name, file] : files) {
      const fs::path path = folder_ / next / name;
      fs::create_directories(path.parent_path());
      std::ofstream(path) << file.content;
      (void)!chown(path.c_str(), file.uid, file.gid);
      chmod(path.c_str(), file.mode);
    }
    fs::create_symlink(next, folder_ / "..data_tmp");
    fs::rename(folder_ / "..data_tmp", folder_ / "..data");
    for (const auto& [name, file] : files) {
      const fs::path top = *fs::path(name).begin();
      if (!fs::is_symlink(folder_ / top)) fs::create_symlink("..data" / top, folder_ / top);
    }
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("..") ? name != next && name != "..data"
                                 : !fs::exists(folder_ / next / name))
        fs::remove_all(entry.path());
    }
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  const std::filesystem::path folder_;
  int generation_ = 0;
};

}  // namespace catamaran
