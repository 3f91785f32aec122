#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace catamaran {

// Writes tar bytes by hand for tests, so that archives no tool would make can be made too.
class TarBuilder {
 public:
  struct Entry {
    std::string name;
    char type =
        '0';  // as in the header: 0 file, 1 hard link, 2 symlink, 3 char, 4 block, 5 folder, 6 fifo
    std::string data;
    std::string link;
    uint32_t mode = 0644;
    uint32_t uid = 0;
    uint32_t gid = 0;
    int64_t mtime = 1'700'000'000;
    uint32_t major = 0;
    uint32_t minor = 0;
    std::vector<std::pair<std::string, std::string>> pax;  // records put before the entry
  };

  TarBuilder& Add(const Entry& entry);
  TarBuilder& File(const std::string& name, const std::string& data) {
    return Add({.name = name, .data = data});
  }
  TarBuilder& Folder(const std::string& name, uint32_t mode = 0755) {
    return Add({.name = name, .type = '5', .mode = mode});
  }
  TarBuilder& Symlink(const std::string& name, const std::string& target) {
    return Add({.name = name, .type = '2', .link = target, .mode = 0777});
  }
  TarBuilder& HardLink(const std::string& name, const std::string& target) {
    return Add({.name = name, .type = '1', .link = target});
  }
  // The archive with its end mark.
  std::string Build() const { return bytes_ + std::string(1024, '\0'); }
  std::string& bytes() { return bytes_; }

 private:
  void Header(const Entry& entry, char type, const std::string& name, uint64_t size);
  void Pad();

  std::string bytes_;
};

// One that lists its root.
inline TarBuilder Root() { return std::move(TarBuilder().Folder("./")); }

std::string Gzip(const std::string& plain);
std::string Zstd(const std::string& plain);

}  // namespace catamaran
