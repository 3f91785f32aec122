#include "cri/doctor/mend.h"

#include <fmt/ranges.h>

namespace catamaran {
namespace {

using Mended = DoctorReport::Mended;

constexpr auto kPatience = std::chrono::seconds(30);  // of one change

Mended MendOne(const PlannedFix& fix, const HostChanger& changer, HostChanger::Mode mode) {
  if (fix.changes.empty()) return {fix.finding, Mended::Outcome::kByHand, fix.remedy};
  std::vector<std::string> done;
  for (const HostChange& change : fix.changes) {
    const auto made = changer.Make(change, Deadline::After(kPatience));
    if (!made) {
      const std::string before =
          done.empty() ? "" : fmt::format(" (after {})", fmt::join(done, "; "));
      return {fix.finding, Mended::Outcome::kFailed,
              fmt::format("{}{}; by hand: {}", made.error().message, before, fix.remedy)};
    }
    if (!made->empty()) done.push_back(*made);
  }
  // All is set as it should be, and it does not work: what is missing is something else.
  if (done.empty()) return {fix.finding, Mended::Outcome::kByHand, fix.remedy};
  return {fix.finding,
          mode == HostChanger::Mode::kSay ? Mended::Outcome::kWould : Mended::Outcome::kDone,
          fmt::format("{}", fmt::join(done, "; "))};
}

}  // namespace

std::vector<Mended> Mend(const DoctorReport& report, const Config& config,
                         const HostChanger& changer, HostChanger::Mode mode) {
  std::vector<Mended> all;
  for (const PlannedFix& fix : PlanFixes(report, config))
    all.push_back(MendOne(fix, changer, mode));
  return all;
}

void CheckMended(const DoctorReport& now, std::vector<Mended>* mended) {
  for (const auto& section : now.sections) {
    for (const Finding& finding : section.findings) {
      if (finding.status == FindingStatus::kOk) continue;
      for (Mended& one : *mended) {
        if (one.finding != finding.name || one.outcome != Mended::Outcome::kDone) continue;
        one.outcome = Mended::Outcome::kFailed;
        one.text += "; that is not enough; by hand: " + finding.remedy;
      }
    }
  }
}

}  // namespace catamaran
