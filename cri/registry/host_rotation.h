#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// How long a pull keeps trying.
struct RetryPatience {
  int rounds = 5;  // over all hosts
  std::chrono::milliseconds first_pause{500};
  std::chrono::milliseconds longest_pause{std::chrono::seconds(60)};  // also of a Retry-After
};

// Which host to ask next for one thing: each in turn, so that a mirror that fails is passed over at
// once; then, while a failure may pass (kUnavailable), again after growing pauses. One thread.
class HostRotation {
 public:
  // `hosts`: what to try, in order; not empty.
  HostRotation(std::vector<size_t> hosts, const RetryPatience& patience)
      : hosts_(std::move(hosts)), patience_(patience) {}

  // The host to ask. Blocks for the pause between rounds. The reasons of all hosts where none is
  // left, kDeadlineExceeded where the time is over.
  Result<size_t> Next(Deadline deadline, const std::function<bool()>& cancelled);
  // The host that Next gave failed. Anything but kUnavailable will not pass: it is not asked again.
  // `wait`: what its Retry-After asked for.
  void Failed(Error error, std::optional<std::chrono::milliseconds> wait = std::nullopt);
  // It works: what failed before counts no longer.
  void Succeeded();

 private:
  struct Reason {
    size_t host;
    Error error;
  };
  Status Pause(Deadline deadline, const std::function<bool()>& cancelled);
  tl::unexpected<Error> GiveUp() const;

  std::vector<size_t> hosts_;
  const RetryPatience patience_;
  std::set<size_t> excluded_;
  std::vector<Reason> reasons_;  // the last of each host
  size_t position_ = 0;          // in hosts_, of the one to ask next
  int round_ = 0;
  std::optional<std::chrono::milliseconds> wait_;  // longest Retry-After of this round
};

// The time that a Retry-After header asks for: seconds or a date (RFC 9110, 10.2.3); nullopt where
// it cannot be read.
std::optional<std::chrono::milliseconds> ParseRetryAfter(const std::string& value);

}  // namespace catamaran
