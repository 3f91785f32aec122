#include "sandbox/container/user.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "sandbox/container/image_file.h"

namespace catamaran {
namespace {

constexpr uint32_t kLargestId = 2147483647;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool IsNumber(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Nothing for what is no number or too large for an id.
std::optional<uint32_t> ParseId(std::string_view text) {
  uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id > kLargestId)
    return std::nullopt;
  return id;
}

struct PasswdEntry {
  std::string_view name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string_view home;
};

template <typename Matches>
std::optional<PasswdEntry> FindUser(std::string_view passwd, Matches matches) {
  for (const auto line : Split(passwd, '\n')) {
    const auto fields = Split(line, ':');
    if (fields.size() < 6) continue;
    const auto uid = ParseId(fields[2]);
    const auto gid = ParseId(fields[3]);
    if (!uid || !gid) continue;
    const PasswdEntry entry{fields[0], *uid, *gid, fields[5]};
    if (matches(entry)) return entry;
  }
  return std::nullopt;
}

template <typename Visit>
void ForEachGroup(std::string_view groups, Visit visit) {
  for (const auto line : Split(groups, '\n')) {
    const auto fields = Split(line, ':');
    if (fields.size() < 3) continue;
    if (const auto gid = ParseId(fields[2]))
      visit(fields[0], *gid, fields.size() > 3 ? fields[3] : std::string_view());
  }
}

Result<uint32_t> ResolveGroup(std::string_view word, std::string_view groups) {
  if (IsNumber(word)) {
    const auto gid = ParseId(word);
    if (!gid)
      return Fail(ErrorCode::kInvalidArgument, "group {}: must be at most {}", word, kLargestId);
    return *gid;
  }
  std::optional<uint32_t> found;
  ForEachGroup(groups, [&](std::string_view name, uint32_t gid, std::string_view) {
    if (!found && name == word) found = gid;
  });
  if (!found)
    return Fail(ErrorCode::kInvalidArgument, "group \"{}\": not in /etc/group of the image", word);
  return *found;
}

// The entry of the user, made up where a number has none.
Result<PasswdEntry> ResolvePrimary(std::string_view word, std::string_view passwd) {
  if (word.empty() || IsNumber(word)) {
    const auto uid = word.empty() ? std::optional<uint32_t>(0) : ParseId(word);
    if (!uid)
      return Fail(ErrorCode::kInvalidArgument, "user {}: must be at most {}", word, kLargestId);
    return FindUser(passwd, [&](const PasswdEntry& entry) { return entry.uid == *uid; })
        .value_or(PasswdEntry{"", *uid, 0, ""});
  }
  const auto entry = FindUser(passwd, [&](const PasswdEntry& e) { return e.name == word; });
  if (!entry)
    return Fail(ErrorCode::kInvalidArgument, "user \"{}\": not in /etc/passwd of the image", word);
  return *entry;
}

}  // namespace

Result<ProcessUser> ResolveUser(int rootfs_fd, const spec::UserSpec& user) {
  const std::string_view words = user.user();
  const auto colon = words.find(':');
  const auto user_word = words.substr(0, colon);
  const auto group_word =
      colon == std::string_view::npos ? std::string_view() : words.substr(colon + 1);
  const bool merge = user.groups_policy() == spec::MERGE;

  ASSIGN_OR_RETURN(const auto passwd, ReadImageFile(rootfs_fd, "etc/passwd"));
  std::string groups;
  if (merge || !group_word.empty()) {
    ASSIGN_OR_RETURN(groups, ReadImageFile(rootfs_fd, "etc/group"));
  }

  ASSIGN_OR_RETURN(const auto entry, ResolvePrimary(user_word, passwd));
  uint32_t gid = entry.gid;
  if (!group_word.empty()) {
    ASSIGN_OR_RETURN(gid, ResolveGroup(group_word, groups));
  }
  if (user.has_gid()) gid = user.gid();
  if (gid > kLargestId)
    return Fail(ErrorCode::kInvalidArgument, "gid {}: must be at most {}", gid, kLargestId);

  std::vector<uint32_t> all = {gid};
  for (const uint32_t group : user.supplemental_groups()) {
    if (group > kLargestId)
      return Fail(ErrorCode::kInvalidArgument, "supplemental_groups {}: must be at most {}", group,
                  kLargestId);
    all.push_back(group);
  }
  if (merge && !entry.name.empty())
    ForEachGroup(groups, [&](std::string_view, uint32_t group, std::string_view members) {
      const auto names = Split(members, ',');
      if (std::find(names.begin(), names.end(), entry.name) != names.end()) all.push_back(group);
    });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());

  ProcessUser result;
  result.ids.set_uid(entry.uid);
  result.ids.set_gid(gid);
  for (const uint32_t group : all) result.ids.add_groups(group);
  result.home = entry.home.empty() ? "/" : std::string(entry.home);
  return result;
}

}  // namespace catamaran
