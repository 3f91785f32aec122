#include "sandbox/container/id_maps.h"

#include <algorithm>

namespace catamaran {
namespace {

Status CheckRanges(const IdMappings& mappings, const std::string& field) {
  for (int i = 0; i < mappings.size(); ++i) {
    const auto& range = mappings[i];
    const uint64_t end = std::max(range.container_id(), range.host_id()) + uint64_t{range.length()};
    if (range.length() < 1 || end > UINT32_MAX)
      return Fail(ErrorCode::kInvalidArgument,
                  "{}[{}]: length {}: at least 1 is needed, and no id above 4294967294", field, i,
                  range.length());
  }
  if (!OutsideId(mappings, 0))
    return Fail(ErrorCode::kInvalidArgument, "{}: id 0 must be mapped", field);
  return {};
}

std::string MapText(const IdMappings& mappings) {
  std::string text;
  for (const auto& range : mappings)
    text += fmt::format("{} {} {}\n", range.container_id(), range.host_id(), range.length());
  return text;
}

Status NotMapped(const char* kind, uint32_t id) {
  return Fail(ErrorCode::kInvalidArgument,
              "process.user: {} {} is not mapped in the pod's user namespace", kind, id);
}

}  // namespace

Status CheckMappings(const spec::UserNamespace& maps, const std::string& field) {
  RETURN_IF_ERROR(CheckRanges(maps.uids(), field + ".uids"));
  return CheckRanges(maps.gids(), field + ".gids");
}

IdMaps ToIdMaps(const spec::UserNamespace& maps) {
  return {MapText(maps.uids()), MapText(maps.gids())};
}

std::optional<uint32_t> OutsideId(const IdMappings& mappings, uint32_t inside) {
  for (const auto& range : mappings)
    if (inside >= range.container_id() && inside - range.container_id() < range.length())
      return range.host_id() + (inside - range.container_id());
  return std::nullopt;
}

Status CheckUserIsMapped(const spec::UserNamespace& maps, const spec::ResolvedUser& user) {
  if (!OutsideId(maps.uids(), user.uid())) return NotMapped("uid", user.uid());
  if (!OutsideId(maps.gids(), user.gid())) return NotMapped("gid", user.gid());
  for (const uint32_t group : user.groups())
    if (!OutsideId(maps.gids(), group)) return NotMapped("group", group);
  return {};
}

}  // namespace catamaran
