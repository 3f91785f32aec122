#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What an uncompressed tar holds and where, so that its files can be read in any order and from
// several threads without unpacking it. Regular files and links only; ustar, GNU long names and
// pax paths and sizes. Names are cleaned ("./a//b" is "a/b"); those with ".." are left out.
class TarIndex {
 public:
  struct Entry {
    uint64_t offset = 0;
    uint64_t size = 0;
    std::string link;  // of a link: the name of its target, cleaned; then the rest is unused
  };
  // kInvalidArgument where the file is no tar or is cut off, kResourceExhausted beyond 1,000,000
  // entries.
  static Result<TarIndex> Read(int fd, uint64_t file_size, Deadline deadline);

  // Follows links, at most ten; nullptr where that leads to no file.
  const Entry* Find(const std::string& name) const;

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace catamaran
