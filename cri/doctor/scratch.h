#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// The folder itself, or the first above it that exists: where it would be made.
HostPath NearestFolder(const HostPath& folder);

// A folder for probes beside what the daemon keeps, on the same file system, removed with all that
// is in it. What earlier ones left that were killed is removed by the next.
class ProbeScratch {
 public:
  // In NearestFolder(root).
  static Result<ProbeScratch> Make(const HostPath& root);
  ProbeScratch(ProbeScratch&&) = default;
  ProbeScratch& operator=(ProbeScratch&&) = delete;
  ~ProbeScratch();

  const HostPath& path() const { return path_; }
  // An image of one small file, by the writer that makes the layers of all images: what
  // sandbox/probes/probe_layer.h asks for.
  Status WriteLayer() const;

 private:
  ProbeScratch(HostPath path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  HostPath path_;
  UniqueFd lock_;  // on the folder, for as long as somebody uses it
};

}  // namespace catamaran
