#pragma once

#include <fstream>
#include <string>

namespace catamaran {

// A field of /proc/PID/status or of another file of its form ("Name:", a tab, the value); empty
// where there is none.
inline std::string ProcStatusField(const std::string& path, const std::string& field) {
  std::ifstream status(path);
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
  return "";
}

}  // namespace catamaran
