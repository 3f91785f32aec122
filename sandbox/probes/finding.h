#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

enum class FindingStatus {
  kOk,
  kDegraded,  // pods run, without something
  kMissing,   // pods cannot run
};
std::string_view FindingStatusName(FindingStatus status);  // "ok", "degraded", "missing"

// What one probe found out about this host. Made wherever the probed thing is used, shown by
// `catamaran doctor`. All texts are for people and may be hostile (QEMU's words, file names).
struct Finding {
  std::string name;  // short, the same on every host: "erofs"
  FindingStatus status = FindingStatus::kOk;
  std::string seen;     // a fact: what was tried and how it went
  std::string meaning;  // for pods; empty where ok
  std::string remedy;   // one command or setting; empty where ok

  friend bool operator==(const Finding&, const Finding&) = default;
};

// One line of JSON with its newline: how findings travel between programs. Bytes that are not
// UTF-8 are replaced.
std::string FindingToLine(const Finding& finding);
// kInvalidArgument where it is not such a line.
Result<Finding> FindingFromLine(std::string_view line);

}  // namespace catamaran
