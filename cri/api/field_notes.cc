#include "cri/api/field_notes.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "cri/base/text.h"

namespace catamaran {
namespace {

using Kind = FieldNote::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 5> kKinds = {{
    {Kind::kHonoured, "honoured"},
    {Kind::kRefused, "refused"},
    {Kind::kAnswered, "answered"},
    {Kind::kIgnored, "ignored"},
    {Kind::kAbsent, "absent"},
}};

std::string_view Trimmed(std::string_view text) { return Trim(text, " "); }

std::vector<std::string_view> Split(std::string_view text, char separator, size_t most_parts) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < most_parts) {
    const size_t end = text.find(separator);
    if (end == std::string_view::npos) break;
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  parts.push_back(text);
  return parts;
}

Status CheckShown(const FieldNote& note) {
  const bool by_tests = note.kind != Kind::kIgnored && note.kind != Kind::kAbsent;
  const bool by_text = note.kind != Kind::kHonoured && note.kind != Kind::kAnswered;
  if (by_tests && note.tests.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "line {}: {} needs a test", note.line,
                KindName(note.kind));
  }
  if (by_text && note.text.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "line {}: {} needs a text: {}", note.line,
                KindName(note.kind),
                note.kind == Kind::kRefused ? "words of the message" : "the reason");
  }
  return {};
}

Result<FieldNote> ParseLine(std::string_view line, int number) {
  const auto columns = Split(line, '|', 4);
  if (columns.size() < 3) {
    return Fail(ErrorCode::kInvalidArgument, "line {}: must be PATTERN | KIND | TESTS | TEXT",
                number);
  }
  FieldNote note;
  note.line = number;
  note.pattern = Trimmed(columns[0]);
  const std::string_view kind = Trimmed(columns[1]);
  const auto* known = std::find_if(kKinds.begin(), kKinds.end(),
                                   [&](const auto& row) { return row.second == kind; });
  if (known == kKinds.end()) {
    return Fail(ErrorCode::kInvalidArgument,
                "line {}: '{}' must be honoured, refused, answered, ignored or absent", number,
                kind);
  }
  note.kind = known->first;
  std::istringstream tests{std::string(columns[2])};
  for (std::string test; tests >> test;) note.tests.push_back(test);
  if (columns.size() == 4) note.text = Trimmed(columns[3]);
  RETURN_IF_ERROR(CheckShown(note));
  return note;
}

bool MatchesSegment(std::string_view pattern, std::string_view segment) {
  if (pattern == "*" || pattern == segment) return true;
  if (!pattern.starts_with('{') || !pattern.ends_with('}')) return false;
  const auto words = Split(pattern.substr(1, pattern.size() - 2), ',', SIZE_MAX);
  return std::find(words.begin(), words.end(), segment) != words.end();
}

using Segments = std::vector<std::string_view>;

bool Match(const Segments& pattern, size_t p, const Segments& path, size_t i) {
  if (p == pattern.size()) return i == path.size();
  if (pattern[p] == "**") {
    for (size_t next = i; next <= path.size(); ++next)
      if (Match(pattern, p + 1, path, next)) return true;
    return false;
  }
  return i < path.size() && MatchesSegment(pattern[p], path[i]) &&
         Match(pattern, p + 1, path, i + 1);
}

}  // namespace

std::string_view KindName(Kind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(),
                      [&](const auto& row) { return row.first == kind; })
      ->second;
}

Result<std::vector<FieldNote>> ParseFieldNotes(std::string_view text) {
  std::vector<FieldNote> notes;
  int number = 0;
  for (const std::string_view line : Split(text, '\n', SIZE_MAX)) {
    ++number;
    if (Trimmed(line).empty() || line.starts_with('#')) continue;
    ASSIGN_OR_RETURN(FieldNote note, ParseLine(line, number));
    notes.push_back(std::move(note));
  }
  return notes;
}

bool MatchesPattern(std::string_view pattern, std::string_view path) {
  return Match(Split(pattern, '.', SIZE_MAX), 0, Split(path, '.', SIZE_MAX), 0);
}

}  // namespace catamaran
