#include "cri/doctor/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cri/base/text.h"

namespace catamaran {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kStatusWidth = 8;  // "degraded"
constexpr size_t kLongestText = 600;

size_t WidthOfNames(const DoctorReport& report) {
  size_t width = 0;
  for (const auto& section : report.sections)
    for (const auto& finding : section.findings) width = std::max(width, finding.name.size());
  return width;
}

bool Concerns(const DoctorReport::Section& section, const std::string& handler) {
  const auto& all = section.handlers;
  return all.empty() || std::find(all.begin(), all.end(), handler) != all.end();
}

std::vector<std::string> MissingFor(const DoctorReport& report, const std::string& handler) {
  std::vector<std::string> names;
  for (const auto& section : report.sections)
    for (const auto& finding : section.findings)
      if (Concerns(section, handler) && finding.status == FindingStatus::kMissing)
        names.push_back(finding.name);
  return names;
}

std::string FindingText(const Finding& finding, size_t width) {
  std::string text =
      fmt::format("{:{}}{:{}}  {:{}}  {}\n", "", kIndent, FindingStatusName(finding.status),
                  kStatusWidth, finding.name, width, OneLine(finding.seen, kLongestText));
  if (finding.status == FindingStatus::kOk) return text;
  const size_t column = kIndent + kStatusWidth + 2 + width + 2;
  if (!finding.meaning.empty())
    text += fmt::format("{:{}}so:  {}\n", "", column, OneLine(finding.meaning, kLongestText));
  if (!finding.remedy.empty())
    text += fmt::format("{:{}}fix: {}\n", "", column, OneLine(finding.remedy, kLongestText));
  return text;
}

std::string_view NameOf(DoctorReport::Mended::Outcome outcome) {
  switch (outcome) {
    case DoctorReport::Mended::Outcome::kDone:
      return "mended";
    case DoctorReport::Mended::Outcome::kWould:
      return "would";
    case DoctorReport::Mended::Outcome::kFailed:
      return "failed";
    case DoctorReport::Mended::Outcome::kByHand:
      return "by hand";
  }
  return "";
}

std::string MendedText(const DoctorReport& report) {
  size_t width = 0;
  for (const auto& mended : report.mended) width = std::max(width, mended.finding.size());
  std::string text;
  for (const auto& mended : report.mended)
    text += fmt::format("{:{}}{:{}}  {:{}}  {}\n", "", kIndent, NameOf(mended.outcome),
                        kStatusWidth, mended.finding, width, OneLine(mended.text, kLongestText));
  return text.empty() ? "" : "\n--fix\n" + text;
}

}  // namespace

bool DoctorReport::CanRunPods(const std::string& handler) const {
  return MissingFor(*this, handler).empty();
}

int DoctorReport::ExitCode() const {
  const bool all = std::all_of(handlers.begin(), handlers.end(),
                               [this](const auto& handler) { return CanRunPods(handler); });
  return all && !handlers.empty() ? 0 : 1;
}

std::string ReportToText(const DoctorReport& report) {
  std::string text =
      fmt::format("catamaran {}, {}, {}\n", report.version, report.config, report.host);
  const size_t width = WidthOfNames(report);
  for (const auto& section : report.sections) {
    text += fmt::format("\n{}\n", section.title);
    for (const auto& finding : section.findings) text += FindingText(finding, width);
  }
  text += MendedText(report) + "\n";
  for (const auto& handler : report.handlers) {
    const auto missing = MissingFor(report, handler);
    text += missing.empty()
                ? fmt::format("{}: can run pods\n", handler)
                : fmt::format("{}: cannot run pods: {}\n", handler, fmt::join(missing, ", "));
  }
  if (report.handlers.empty()) text += "no handler: no pods\n";
  return text;
}

std::string ReportToJson(const DoctorReport& report) {
  using nlohmann::json;
  json handlers = json::array(), findings = json::array();
  for (const auto& handler : report.handlers)
    handlers.push_back({{"name", handler}, {"can_run_pods", report.CanRunPods(handler)}});
  for (const auto& section : report.sections)
    for (const auto& finding : section.findings)
      findings.push_back({{"section", section.title},
                          {"name", finding.name},
                          {"status", std::string(FindingStatusName(finding.status))},
                          {"seen", finding.seen},
                          {"meaning", finding.meaning},
                          {"remedy", finding.remedy}});
  json document = {{"version", report.version},
                   {"config", report.config},
                   {"host", report.host},
                   {"handlers", handlers},
                   {"findings", findings}};
  for (const auto& mended : report.mended)
    document["mended"].push_back({{"name", mended.finding},
                                  {"outcome", std::string(NameOf(mended.outcome))},
                                  {"text", mended.text}});
  return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace catamaran
