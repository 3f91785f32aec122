#include "sandbox/probes/finding.h"

#include "sandbox/base/json_text.h"

namespace catamaran {
namespace {

constexpr FindingStatus kStatuses[] = {FindingStatus::kOk, FindingStatus::kDegraded,
                                       FindingStatus::kMissing};

}  // namespace

std::string_view FindingStatusName(FindingStatus status) {
  switch (status) {
    case FindingStatus::kOk:
      return "ok";
    case FindingStatus::kDegraded:
      return "degraded";
    case FindingStatus::kMissing:
      return "missing";
  }
  return "missing";
}

std::string FindingToLine(const Finding& finding) {
  const nlohmann::json object = {{"name", finding.name},
                                 {"status", std::string(FindingStatusName(finding.status))},
                                 {"seen", finding.seen},
                                 {"meaning", finding.meaning},
                                 {"remedy", finding.remedy}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<Finding> FindingFromLine(std::string_view line) {
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return Fail(ErrorCode::kInvalidArgument, "not a finding: {}", line);
  Finding finding{TextAt(object, "name"), FindingStatus::kMissing, TextAt(object, "seen"),
                  TextAt(object, "meaning"), TextAt(object, "remedy")};
  const std::string status_name = TextAt(object, "status");
  for (const FindingStatus status : kStatuses) {
    if (finding.name.empty() || FindingStatusName(status) != status_name) continue;
    finding.status = status;
    return finding;
  }
  return Fail(ErrorCode::kInvalidArgument, "not a finding: {}", line);
}

}  // namespace catamaran
