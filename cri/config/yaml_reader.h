#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Reads a YAML document strictly: what is not asked for is an error with its line. yaml-cpp's
// exceptions end here (ReadDocument); the rest of the folder sees Results.
class YamlValue {
 public:
  // A key of a mapping and what to do with its value.
  struct Key {
    std::string_view name;
    std::function<Status(const YamlValue&)> read;
  };

  // A file of ours holds no key that we do not know; somebody else's may.
  enum class UnknownKeys { kRefuse, kIgnore };

  // Parses `text` and reads its top-level mapping; an empty document is an empty mapping.
  static Status ReadDocument(std::string_view text, const std::string& file_name,
                             const std::vector<Key>& keys,
                             UnknownKeys unknown = UnknownKeys::kRefuse);

  // A single value from elsewhere (a flag), read by the same rules; errors name `source`.
  static Status ReadScalar(const std::string& value, const std::string& source,
                           const std::function<Status(const YamlValue&)>& read);

  // The value as a mapping with these keys, each at most once.
  Status ReadMapping(const std::vector<Key>& keys,
                     UnknownKeys unknown = UnknownKeys::kRefuse) const;
  Status ReadSequence(const std::function<Status(const YamlValue&)>& read_item) const;

  Status Read(std::string* out) const;
  Status Read(bool* out) const;  // true, false, on, off
  Status Read(uint32_t* out, uint32_t least, uint32_t most) const;
  Status ReadSize(uint64_t* out_bytes) const;  // "256Mi", "1Gi", "4096"
  Status ReadAbsolutePath(std::string* out) const;
  Status ReadAbsolutePath(HostPath* out) const;
  // The index of the word among `words`.
  Result<size_t> ReadWord(const std::vector<std::string_view>& words) const;

  // kInvalidArgument at this value's line: "file:3: handlers[0].name: 'A_b' is wrong: must be …".
  tl::unexpected<Error> Wrong(std::string_view what_would_be_right) const;
  int line() const { return line_; }
  const std::string& path() const { return path_; }

 private:
  YamlValue(const YAML::Node& node, std::string path, const std::string* file_name, int line)
      : node_(node), path_(std::move(path)), file_name_(file_name), line_(line) {}
  Result<std::string> Scalar() const;

  YAML::Node node_;
  std::string path_;
  const std::string* file_name_;
  int line_;  // counted from 1; 0 where there is no file
};

}  // namespace catamaran
