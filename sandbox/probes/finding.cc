#include "sandbox/probes/finding.h"

#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

constexpr FindingStatus kStatuses[] = {FindingStatus::kOk, FindingStatus::kDegraded,
                                       FindingStatus::kMissing};

std::string Text(const nlohmann::json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

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
  Finding finding{Text(object, "name"), FindingStatus::kMissing, Text(object, "seen"),
                  Text(object, "meaning"), Text(object, "remedy")};
  const std::string status_name = Text(object, "status");
  for (const FindingStatus status : kStatuses) {
    if (finding.name.empty() || FindingStatusName(status) != status_name) continue;
    finding.status = status;
    return finding;
  }
  return Fail(ErrorCode::kInvalidArgument, "not a finding: {}", line);
}

}  // namespace catamaran
