#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cri/service/call_context.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Who has a name. A name is claimed before anything is made, settled when its owner exists, and
// released when the creation failed or the owner was removed. Thread-safe.
class NameTable {
 public:
  struct Claimed {
    bool is_new = false;  // the caller makes the thing, then calls Settle or Release
    std::string id;       // of the owner: the caller's where is_new
  };
  // Claims `name` for `id`. Where somebody has it with the same fingerprint (of the configuration):
  // waits for a creation in flight and gives the owner's id, or the error with which it failed
  // (unless that was the other caller's own deadline: then this caller tries itself).
  // kAlreadyExists naming the owner where the fingerprint differs.
  Result<Claimed> Claim(const std::string& name, const std::string& id,
                        const std::string& fingerprint, const CallContext& call);
  void Settle(const std::string& name, const std::string& id);
  // Frees the name if `id` still owns it; those who wait for the creation get `why`.
  void Release(const std::string& name, const std::string& id, std::optional<Error> why = {});
  // For owners found at start. False where another has the name already.
  bool Restore(const std::string& name, const std::string& id, const std::string& fingerprint);

 private:
  struct Entry {
    std::string id;
    std::string fingerprint;
    bool settled = false;
    bool released = false;
    std::optional<Error> failure;
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;  // guarded by mutex_
};

}  // namespace catamaran
