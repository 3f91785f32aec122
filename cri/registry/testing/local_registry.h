#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// Debian's docker-registry on a loopback port, with a folder of its own; ends with this object.
class LocalRegistry {
 public:
  struct Options {
    std::filesystem::path folder;  // of the caller; storage and configuration go there
    std::string http = {};         // more of its configuration, YAML, below `http:` ("tls: {...}")
    std::string auth = {};         // below `auth:` ("htpasswd: {...}")
    std::string more = {};         // other sections, whole lines
  };
  static Result<LocalRegistry> Start(const Options& options);
  LocalRegistry(LocalRegistry&& other) noexcept;
  LocalRegistry& operator=(LocalRegistry&&) = delete;
  ~LocalRegistry();

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // Puts every blob of an OCI layout in a folder into a repository, each usable as a layer and as
  // a manifest.
  Status AddBlobs(const std::string& repository, const std::filesystem::path& layout) const;
  // The same, and tags the first manifest of its index.json; returns that one's digest.
  Result<std::string> Add(const std::string& repository, const std::string& tag,
                          const std::filesystem::path& layout) const;
  // Any content, usable as above.
  Status AddBlob(const std::string& repository, const std::string& content) const;
  // Stores a manifest of any content under a tag; returns its digest.
  Result<std::string> AddManifest(const std::string& repository, const std::string& tag,
                                  const std::string& text) const;

 private:
  LocalRegistry(std::filesystem::path folder, int port, pid_t pid)
      : folder_(std::move(folder)), port_(port), pid_(pid) {}
  Status WriteLink(const std::filesystem::path& path, const std::string& digest) const;

  std::filesystem::path folder_;
  int port_;
  pid_t pid_;
};

}  // namespace catamaran
