#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "cri/translate/host_facts.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// This host's AppArmor, as far as a daemon deals with it: the names of what is loaded, and the
// runtime's own default profile. Thread-safe.
class AppArmor {
 public:
  // Where the kernel and the host have their files: tests have their own.
  struct Places {
    HostPath profiles{"/sys/kernel/security/apparmor/profiles"};
    std::vector<HostPath> parsers = AppArmorParsers();
  };
  AppArmor() : AppArmor(Places()) {}
  explicit AppArmor(Places places) : places_(std::move(places)) {}

  // Loads the default profile, once for each daemon, so that it is this build's, and again where
  // it is not loaded any more. kFailedPrecondition says why it cannot be had; without a parser one
  // that is loaded is taken as it is.
  Status EnsureDefaultProfile(Deadline deadline);

 private:
  const HostPath* FindParser() const;

  const Places places_;
  std::mutex mutex_;
  bool loaded_ = false;  // by this object
};

}  // namespace catamaran
