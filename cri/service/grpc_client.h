#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/images/image_store.h"
#include "cri/registry/credentials.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The command line's end of a running daemon's socket. Calls block.
class DaemonClient {
 public:
  struct ImageLine {
    std::string id;
    std::vector<std::string> repo_tags;
    uint64_t size_bytes = 0;
    uint64_t shared_bytes = 0;  // of them: layers that other images have too
    bool pinned = false;
  };

  // `listen`: "unix:///path". Connects with the first call.
  static Result<std::unique_ptr<DaemonClient>> Create(const std::string& listen);
  virtual ~DaemonClient() = default;

  virtual Result<std::vector<ImageLine>> LoadImage(
      const HostPath& source, const std::string& reference,
      const std::function<void(const ImageStore::Progress&)>& progress) = 0;
  // Credentials that are empty are the daemon's own.
  virtual Result<std::vector<ImageLine>> PullImage(
      const std::string& reference, const Credentials& credentials,
      const std::function<void(const ImageStore::Progress&)>& progress) = 0;
  virtual Result<std::vector<ImageLine>> ListImages() = 0;
  // Has it read its configuration anew; what changed, a line each.
  virtual Result<std::vector<std::string>> Reload() = 0;
};

}  // namespace catamaran
