#pragma once

#include <compare>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

namespace catamaran {

// A string that is not interchangeable with strings of another meaning.
template <typename Tag>
class StrongString {
 public:
  StrongString() = default;
  explicit StrongString(std::string value) : value_(std::move(value)) {}
  const std::string& value() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend auto operator<=>(const StrongString&, const StrongString&) = default;

 private:
  std::string value_;
};

using PodId = StrongString<struct PodIdTag>;
using ContainerId = StrongString<struct ContainerIdTag>;
using ExecId = StrongString<struct ExecIdTag>;

// A path seen from the host, from the guest's root, or from inside a container: three types, so
// that handing one to code that expects another does not compile.
template <typename Tag>
class StrongPath {
 public:
  StrongPath() = default;
  explicit StrongPath(std::filesystem::path value) : value_(std::move(value)) {}
  const std::filesystem::path& value() const { return value_; }
  const char* c_str() const { return value_.c_str(); }
  std::string string() const { return value_.string(); }
  bool empty() const { return value_.empty(); }
  StrongPath operator/(const std::filesystem::path& part) const {
    return StrongPath(value_ / part);
  }
  friend auto operator<=>(const StrongPath&, const StrongPath&) = default;

 private:
  std::filesystem::path value_;
};

using HostPath = StrongPath<struct HostPathTag>;
using GuestPath = StrongPath<struct GuestPathTag>;
using ContainerPath = StrongPath<struct ContainerPathTag>;

}  // namespace catamaran

template <typename Tag>
struct std::hash<catamaran::StrongString<Tag>> {
  size_t operator()(const catamaran::StrongString<Tag>& id) const {
    return std::hash<std::string>()(id.value());
  }
};
