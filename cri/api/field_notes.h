#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// What becomes of some fields, as fields.txt says.
struct FieldNote {
  enum class Kind {
    kHonoured,  // a request's field: it has the effect that the tests show
    kRefused,   // a request's field: the call fails with `text` in its message, as the tests show
    kAnswered,  // an answer's field: filled in, as the tests show
    kIgnored,   // a request's field that has no effect by the custom of runtimes: `text` says why
    kAbsent,    // an answer's field that is never filled in: `text` says why
  };
  int line = 0;
  std::string pattern;
  Kind kind = Kind::kHonoured;
  std::vector<std::string> tests;  // "Suite.Name", "Suite.Name/Row" or "kubelet-client/TestName"
  std::string text;
};

std::string_view KindName(FieldNote::Kind kind);

// Lines of "PATTERN | KIND | TEST TEST ... | TEXT", blank ones and those that begin with '#'.
// kInvalidArgument naming the line and what would be right. What shows a kind is required: tests
// of what has an effect, a text of what is refused, ignored or absent.
Result<std::vector<FieldNote>> ParseFieldNotes(std::string_view text);

// Patterns are paths in which a segment may be `*` (any one), `**` (any number, none too) or
// `{a,b}` (one of these).
bool MatchesPattern(std::string_view pattern, std::string_view path);

}  // namespace catamaran
