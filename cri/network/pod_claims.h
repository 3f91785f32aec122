#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// One operation at a time on each pod's network. Thread-safe; outlives its claims.
class PodClaims {
 public:
  // The right to work on one pod, until destroyed.
  class Claim {
   public:
    Claim(Claim&& other) noexcept
        : claims_(std::exchange(other.claims_, nullptr)), pod_(std::move(other.pod_)) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim();

   private:
    friend class PodClaims;
    Claim(PodClaims* claims, std::string pod) : claims_(claims), pod_(std::move(pod)) {}
    PodClaims* claims_;
    std::string pod_;
  };

  // Waits for whoever works on the pod now. kInvalidArgument for an id that cannot be a file name.
  Result<Claim> Take(const PodId& pod, Deadline deadline);

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  std::set<std::string> claimed_;
};

}  // namespace catamaran
