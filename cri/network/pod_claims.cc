#include "cri/network/pod_claims.h"

#include <algorithm>
#include <cctype>

namespace catamaran {
namespace {

constexpr size_t kLongestPodId = 200;

Status CheckPodId(const PodId& pod) {
  const auto& id = pod.value();
  const bool good = !id.empty() && id.size() <= kLongestPodId && id[0] != '.' &&
                    std::all_of(id.begin(), id.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                    });
  if (good) return {};
  return Fail(ErrorCode::kInvalidArgument, "pod id \"{}\": must be letters, digits, -, _ and .",
              id);
}

}  // namespace

Result<PodClaims::Claim> PodClaims::Take(const PodId& pod, Deadline deadline) {
  RETURN_IF_ERROR(CheckPodId(pod));
  std::unique_lock lock(mutex_);
  while (claimed_.contains(pod.value())) {
    if (deadline.expired())
      return Fail(ErrorCode::kDeadlineExceeded, "the network of pod {} is being changed",
                  pod.value());
    released_.wait_for(lock, deadline.Remaining());
  }
  claimed_.insert(pod.value());
  return Claim(this, pod.value());
}

PodClaims::Claim::~Claim() {
  if (claims_ == nullptr) return;
  const std::lock_guard lock(claims_->mutex_);
  claims_->claimed_.erase(pod_);
  claims_->released_.notify_all();
}

}  // namespace catamaran
