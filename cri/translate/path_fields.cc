#include <algorithm>
#include <climits>

#include "cri/base/text.h"
#include "cri/translate/fields.h"

namespace catamaran {
namespace {

Result<std::string> CheckPath(std::string_view field, const std::string& path, bool absolute,
                              std::string_view right) {
  if (path.empty() || path.size() >= PATH_MAX || HasControlCharacters(path) ||
      (path.front() == '/') != absolute) {
    return WrongField(field, path, right);
  }
  std::string clean;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part == "." || part == "..") return WrongField(field, path, right);
    if (!part.empty()) {
      if (absolute || !clean.empty()) clean += '/';
      clean += part;
    }
    begin = end + 1;
  }
  return clean.empty() ? "/" : clean;
}

}  // namespace

Result<std::string> CheckAbsolutePath(std::string_view field, const std::string& path) {
  return CheckPath(field, path, true, "an absolute path without . and ..");
}

Result<std::string> CheckRelativePath(std::string_view field, const std::string& path) {
  return CheckPath(field, path, false, "a relative path without . and ..");
}

}  // namespace catamaran
