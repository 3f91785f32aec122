#pragma once

#include <mutex>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "shim/client/shim_client.h"
#include "shim/client/watcher.h"

namespace catamaran {

// The daemon's hold on the template keeper: starts one where none lives, and stays connected, which
// keeps it alive. What it says to shims is none of the daemon's business. Thread-safe.
class TemplateKeeperLink {
 public:
  // `program` and `watcher` outlive this.
  TemplateKeeperLink(const UniqueFd& program, Watcher& watcher)
      : program_(program), watcher_(watcher) {}

  // Cheap where the keeper lives. `paths.folder` exists; templates are kept below `root`.
  Status Ensure(const ShimPaths& paths, const HostPath& root);

 private:
  Status Start(const ShimPaths& paths, const HostPath& root);

  const UniqueFd& program_;
  Watcher& watcher_;
  std::mutex mutex_;
  UniqueFd connection_;  // guarded by mutex_
};

}  // namespace catamaran
