#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace catamaran {

struct ListingOptions {
  bool directory_times = true;
  // Count the names in the tree instead of taking st_nlink: overlayfs shows the lower file's count
  // even where a whiteout hides one of its names.
  bool count_names_as_links = false;
};

// Everything below `root` that a container could tell apart, one line an entry, sorted by path:
// type, mode, owner, time with nanoseconds, device, size, link count and which other name it is a
// link to (not for folders), extended attributes, symlink target, digest of the content (zeros and
// holes are the same). Reports what cannot be read as a test failure.
std::vector<std::string> ListTree(const std::filesystem::path& root,
                                  const ListingOptions& options = {});

// Fails the test with the first differences only: listings may have 100,000 lines.
void ExpectSameTree(const std::vector<std::string>& actual,
                    const std::vector<std::string>& expected);

}  // namespace catamaran
