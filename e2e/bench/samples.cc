#include "e2e/bench/samples.h"

#include <algorithm>
#include <cmath>

namespace catamaran::e2e {

void Samples::Add(const std::string& measure, const std::string& subject, int round, double value) {
  auto& subjects = samples_[measure];
  if (subjects.empty()) measures_.push_back(measure);
  subjects[subject].push_back({round, count_++, value});
}

const std::vector<Samples::Sample>* Samples::Find(const std::string& measure,
                                                  const std::string& subject) const {
  const auto subjects = samples_.find(measure);
  if (subjects == samples_.end()) return nullptr;
  const auto found = subjects->second.find(subject);
  return found == subjects->second.end() ? nullptr : &found->second;
}

std::vector<double> Samples::Values(const std::string& measure, const std::string& subject) const {
  std::vector<double> values;
  if (const auto* samples = Find(measure, subject)) {
    for (const Sample& sample : *samples) values.push_back(sample.value);
  }
  std::sort(values.begin(), values.end());
  return values;
}

Result<double> Samples::Ratio(const std::string& measure, const std::string& subject,
                              const std::string& base) const {
  const auto* mine = Find(measure, subject);
  const auto* theirs = Find(measure, base);
  if (mine == nullptr || theirs == nullptr)
    return Fail(ErrorCode::kFailedPrecondition, "{} has no {}", mine == nullptr ? subject : base,
                measure);
  // When each round was on, for either side.
  struct Span {
    int first, last;
    bool mine = false, theirs = false;
  };
  std::map<int, Span> rounds;
  for (const auto* side : {mine, theirs}) {
    for (const Sample& sample : *side) {
      Span& span =
          rounds.try_emplace(sample.round, Span{sample.number, sample.number}).first->second;
      span.first = std::min(span.first, sample.number);
      span.last = std::max(span.last, sample.number);
      (side == mine ? span.mine : span.theirs) = true;
    }
  }
  int before = -1;
  for (const auto& [round, span] : rounds) {
    if (!span.mine || !span.theirs)
      return Fail(ErrorCode::kFailedPrecondition, "{} was not measured in round {}",
                  span.mine ? base : subject, round);
    if (span.first < before)
      return Fail(ErrorCode::kFailedPrecondition, "round {} began before the one before it ended",
                  round);
    before = span.last;
  }
  const double divisor = Quantile(Values(measure, base), 0.5);
  if (divisor == 0) return Fail(ErrorCode::kFailedPrecondition, "{} of {} is zero", measure, base);
  return Quantile(Values(measure, subject), 0.5) / divisor;
}

double Quantile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace catamaran::e2e
