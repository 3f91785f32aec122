#include "cri/cgroups/slice_name.h"

#include <algorithm>

namespace catamaran {
namespace {

constexpr std::string_view kSuffix = ".slice";
constexpr size_t kLongestUnitName = 255;  // systemd.unit(5)

bool IsUnitCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("-_.:\\").find(c) != std::string_view::npos;
}

bool IsSliceName(std::string_view name) {
  if (name == "-.slice") return true;
  if (!name.ends_with(kSuffix) || name.size() > kLongestUnitName) return false;
  const auto stem = name.substr(0, name.size() - kSuffix.size());
  return !stem.empty() && std::all_of(stem.begin(), stem.end(), IsUnitCharacter) &&
         stem.front() != '-' && stem.back() != '-' && stem.find("--") == std::string_view::npos;
}

}  // namespace

std::string PathOfSlice(const std::string& slice) {
  if (slice == "-.slice") return "/";
  const std::string stem = slice.substr(0, slice.size() - kSuffix.size());
  std::string path;
  for (size_t dash = stem.find('-'); dash != std::string::npos; dash = stem.find('-', dash + 1))
    path += fmt::format("/{}{}", stem.substr(0, dash), kSuffix);
  return fmt::format("{}/{}", path, slice);
}

Result<std::string> SliceOfParent(const std::string& field, const std::string& parent) {
  const size_t slash = parent.find_last_of('/');
  const std::string name = slash == std::string::npos ? parent : parent.substr(slash + 1);
  if (!IsSliceName(name))
    return Fail(ErrorCode::kInvalidArgument,
                "{}: '{}' is wrong: with cgroup_driver systemd it must be a slice, such as "
                "/kubepods.slice/kubepods-burstable.slice",
                field, parent);
  const bool is_bare = slash == std::string::npos || slash == 0;
  if (!is_bare && parent != PathOfSlice(name))
    return Fail(ErrorCode::kInvalidArgument,
                "{}: '{}' is wrong: systemd has {} at {}, so it must be that, or the name alone",
                field, parent, name, PathOfSlice(name));
  return name;
}

}  // namespace catamaran
