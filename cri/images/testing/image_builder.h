#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace catamaran {

// A folder that is removed with everything in it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void WriteTestFile(const std::filesystem::path& path, const std::string& content);

// What a test image consists of; every text can be replaced by a hostile one.
struct TestImage {
  std::vector<std::string> layers;  // plain tars, bottom first
  std::string name;                 // annotation or RepoTag; empty: none
  std::string process = "{}";       // the config's "config" object, JSON
  std::string architecture;         // empty: this machine's
  enum class Compression { kNone, kGzip, kZstd } compression = Compression::kGzip;
};

std::string ConfigJson(const TestImage& image);

// Paths relative to the archive's root and contents, for an OCI layout of these images.
using ArchiveFiles = std::vector<std::pair<std::string, std::string>>;
ArchiveFiles OciLayoutFiles(const std::vector<TestImage>& images);
ArchiveFiles DockerArchiveFiles(const std::vector<TestImage>& images);

void WriteFolder(const std::filesystem::path& folder, const ArchiveFiles& files);
std::string TarOf(const ArchiveFiles& files);

}  // namespace catamaran
