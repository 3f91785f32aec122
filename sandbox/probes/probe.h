#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/probes/finding.h"

namespace catamaran {

// A question to the host that is answered by trying the real thing, in a child process.
struct Probe {
  std::string name;
  // Where `run` fails or does not end.
  FindingStatus failure = FindingStatus::kMissing;
  std::string meaning;
  std::string remedy;
  // In a child of a single-threaded process: it may change namespaces, install filters, crash. An
  // error is what was seen; a finding without a name gets the probe's.
  std::function<Result<Finding>()> run;
  // In the parent, however the child ended: what must not stay. May be empty.
  std::function<void()> clean_up;
};

// What is shown of a probe that failed. One that was too slow has a remedy that begins with asking
// again: installing what is there helps nobody.
Finding FailedProbe(const Probe& probe, const Error& error);

// A finding that all is well, for Probe::run.
Finding Works(std::string seen);

inline constexpr auto kProbePatience = std::chrono::seconds(5);

// Runs `work`, which returns 0 or an errno, in a child made by fork(2), and returns that: for what
// a probe cannot do to itself. EINTR where a signal killed the child.
int ErrnoOfChild(const std::function<int()>& work);

// Runs a probe in whichever way the program can, shows the finding and returns it.
using ProbeRunner = std::function<Finding(const Probe&)>;

// Legal only while this process has one thread. A child that does not end in time is killed with
// everything it started; one that cannot be killed (uninterruptible sleep) is left alone.
Finding RunProbe(const Probe& probe, std::chrono::milliseconds patience);

}  // namespace catamaran
