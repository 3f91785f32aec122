#include "cri/registry/host_rotation.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <random>
#include <thread>

namespace catamaran {
namespace {

// How soon a cancelled pull is noticed in a pause.
constexpr std::chrono::milliseconds kStep{50};

// Half to all of it: pulls that failed together do not come back together.
std::chrono::milliseconds WithJitter(std::chrono::milliseconds pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return pause / 2 + std::chrono::milliseconds(random() % (pause.count() / 2 + 1));
}

}  // namespace

Result<size_t> HostRotation::Next(Deadline deadline, const std::function<bool()>& cancelled) {
  for (;;) {
    while (position_ < hosts_.size() && excluded_.contains(hosts_[position_])) ++position_;
    if (position_ < hosts_.size()) return hosts_[position_];
    position_ = 0;
    if (excluded_.size() == hosts_.size() || ++round_ >= patience_.rounds) return GiveUp();
    RETURN_IF_ERROR(Pause(deadline, cancelled));
  }
}

void HostRotation::Failed(Error error, std::optional<std::chrono::milliseconds> wait) {
  const size_t host = hosts_[position_++];
  if (error.code != ErrorCode::kUnavailable) excluded_.insert(host);
  if (wait) wait_ = std::max(*wait, wait_.value_or(std::chrono::milliseconds(0)));
  std::erase_if(reasons_, [&](const Reason& reason) { return reason.host == host; });
  reasons_.push_back({host, std::move(error)});
}

void HostRotation::Succeeded() { round_ = 0; }

Status HostRotation::Pause(Deadline deadline, const std::function<bool()>& cancelled) {
  auto pause = WithJitter(patience_.first_pause * (1 << std::min(round_ - 1, 10)));
  if (wait_) pause = std::max(pause, *wait_);
  wait_.reset();
  const auto end = Deadline::After(std::min(pause, patience_.longest_pause));
  while (!end.expired()) {
    if (deadline.expired() || (cancelled && cancelled()))
      return tl::unexpected(
          Error{ErrorCode::kDeadlineExceeded, 0, "the time is over: " + GiveUp().value().message});
    std::this_thread::sleep_for(std::min(kStep, end.Remaining()));
  }
  return {};
}

tl::unexpected<Error> HostRotation::GiveUp() const {
  if (reasons_.size() == 1) return tl::unexpected(reasons_[0].error);
  Error all{ErrorCode::kUnavailable, 0, ""};
  bool may_pass = false;
  for (const Reason& reason : reasons_) {
    all.message += (all.message.empty() ? "" : "; ") + reason.error.message;
    may_pass |= reason.error.code == ErrorCode::kUnavailable;
    // The registry itself comes last: its word decides where no host was out of reach.
    all.code = reason.error.code;
  }
  if (may_pass) all.code = ErrorCode::kUnavailable;
  return tl::unexpected(std::move(all));
}

std::optional<std::chrono::milliseconds> ParseRetryAfter(const std::string& value) {
  uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size())
    return std::chrono::seconds(seconds);
  struct tm date = {};
  const char* rest = strptime(value.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  const auto left = timegm(&date) - time(nullptr);
  return std::chrono::seconds(std::clamp<int64_t>(left, 0, 1'000'000));
}

}  // namespace catamaran
