#include "cri/api/field_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>

namespace catamaran {
namespace {

using Row = FieldTable::Row;

bool IsBelow(const std::string& path, const std::string& prefix) {
  return path.starts_with(prefix + ".");
}

// How many rows from `first` on are below `prefix`, if all of them have one note; else 0.
size_t CountTogether(const std::vector<Row>& rows, size_t first, const std::string& prefix) {
  size_t end = first;
  while (end < rows.size() && IsBelow(rows[end].path, prefix)) ++end;
  const auto all =
      std::all_of(rows.begin() + static_cast<long>(first), rows.begin() + static_cast<long>(end),
                  [&](const Row& row) { return row.note == rows[first].note; });
  const bool from_start = first == 0 || !IsBelow(rows[first - 1].path, prefix);
  return all && from_start ? end - first : 0;
}

// The outermost field, whose parts are one row from `first` on; empty where it stands alone.
std::string Outermost(const std::vector<Row>& rows, size_t first, size_t* count) {
  const std::string& path = rows[first].path;
  if (rows[first].note == nullptr || !rows[first].note->pattern.ends_with("**")) return "";
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    *count = CountTogether(rows, first, path.substr(0, dot));
    if (*count > 1) return path.substr(0, dot);
  }
  return "";
}

std::string Line(const std::string& field, const FieldNote* note) {
  if (note == nullptr) return fmt::format("| `{}` | ? | |\n", field);
  std::vector<std::string> cells;
  for (const std::string& test : note->tests) cells.push_back("`" + test + "`");
  if (note->kind == FieldNote::Kind::kRefused)
    cells.push_back("“" + note->text + "”");
  else if (!note->text.empty())
    cells.push_back(note->text);
  return fmt::format("| `{}` | {} | {} |\n", field, KindName(note->kind), fmt::join(cells, ", "));
}

}  // namespace

FieldTable MakeFieldTable(const std::vector<FieldPath>& paths,
                          const std::vector<FieldNote>& notes) {
  FieldTable table;
  for (const FieldPath& path : paths) {
    const auto note = std::find_if(notes.begin(), notes.end(), [&](const FieldNote& candidate) {
      return MatchesPattern(candidate.pattern, path.path);
    });
    table.rows.push_back({path.path, note == notes.end() ? nullptr : &*note});
  }
  return table;
}

std::string RenderFieldTable(const FieldTable& table) {
  std::string text =
      "# Every field of the interface\n\n"
      "Written by `cri_fields_test` from `runtime.proto` and `fields.txt`; do not edit. "
      "*honoured*: the\n"
      "tests show the field's effect. *refused*: the tests show that a call with it fails with "
      "these words\n"
      "in its message. *answered*: the tests look at it. *ignored*, *absent*: no effect, never "
      "given, for\n"
      "the reason there. `.**` stands for all fields below.\n";
  std::string section;
  for (size_t i = 0; i < table.rows.size();) {
    const std::string message = table.rows[i].path.substr(0, table.rows[i].path.find('.'));
    if (message != section) {
      text += fmt::format("\n## {}\n\n| field | | shown by, or why |\n|---|---|---|\n", message);
      section = message;
    }
    size_t count = 1;
    const std::string outermost = Outermost(table.rows, i, &count);
    const std::string field = outermost.empty() ? table.rows[i].path : outermost + ".**";
    text += Line(field.substr(message.size() + 1), table.rows[i].note);
    i += outermost.empty() ? 1 : count;
  }
  return text;
}

}  // namespace catamaran
