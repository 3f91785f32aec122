#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// What a run of the benchmark measured: values of a measure ("pod start ms") for a subject
// ("containerd runc"), each taken in a round. Not thread-safe.
class Samples {
 public:
  void Add(const std::string& measure, const std::string& subject, int round, double value);

  // In the order in which they were first measured.
  const std::vector<std::string>& measures() const { return measures_; }
  // Sorted; empty where there is none.
  std::vector<double> Values(const std::string& measure, const std::string& subject) const;

  // Median of the subject by that of the base. Only what took turns can be compared, because a
  // machine's speed changes from minute to minute: kFailedPrecondition, saying why, where the two
  // were not measured in the same rounds, or one of them after all of the other's rounds.
  Result<double> Ratio(const std::string& measure, const std::string& subject,
                       const std::string& base) const;

 private:
  struct Sample {
    int round, number;  // number: of the whole run
    double value;
  };
  const std::vector<Sample>* Find(const std::string& measure, const std::string& subject) const;

  std::vector<std::string> measures_;
  std::map<std::string, std::map<std::string, std::vector<Sample>>> samples_;
  int count_ = 0;
};

// The value that this share of `sorted` (not empty) does not exceed, by nearest rank.
double Quantile(const std::vector<double>& sorted, double share);

}  // namespace catamaran::e2e
