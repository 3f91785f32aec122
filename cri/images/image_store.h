#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What an image's config asks of a container (hostile bytes, validated).
struct ImageConfig {
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> env;
  std::vector<std::string> volumes;  // absolute, cleaned container paths
  std::string working_directory;
  std::string user;
  std::string stop_signal;  // "SIGTERM", "15", "SIGRTMIN+3"; empty: none
  std::vector<std::pair<std::string, std::string>> labels;
  std::string architecture;
  std::string os;
  std::string artifact_type;  // not empty: files to be mounted, nothing that runs
};

struct IncomingImage;  // cri/images/incoming_image.h
class ImagePolicy;     // cri/images/image_policy.h

// That a pull verified a signature of an image.
struct VerifiedSignature {
  std::string repository;  // that it was verified for: "r.test/team/app"
  std::string key;         // fingerprint of the public key
};

// A layer of an image on the disk.
struct ImageLayer {
  std::string diff_id;
  uint64_t size_bytes = 0;  // of its blob
  uint32_t images = 0;      // that have it
};

struct Image {
  std::string id;  // "sha256:<64 hex>", digest of the config
  std::vector<std::string> repo_tags;
  std::vector<std::string> repo_digests;
  uint64_t size_bytes = 0;  // of its blobs and its config, never 0, always the same
  bool pinned = false;
  ImageConfig config;
  std::vector<std::string> diff_ids;  // bottom first
  std::vector<ImageLayer> layers;     // bottom first, each once
  std::vector<VerifiedSignature> signatures;

  // Of size_bytes: what would stay on the disk for other images.
  uint64_t shared_bytes() const {
    uint64_t bytes = 0;
    for (const ImageLayer& layer : layers) bytes += layer.images > 1 ? layer.size_bytes : 0;
    return bytes;
  }
};

// Images on this node: an SQLite index plus one EROFS blob per layer, keyed by diffID, under one
// root directory owned by one process at a time. An image is whole or absent: blobs are on disk
// before the index names them. Thread-safe; calls may block on the disk.
class ImageStore {
 public:
  struct OpenOptions {
    std::vector<std::string> pinned;  // canonical references that List and Find show as pinned
    // Told, from any thread, of what somebody should know: a damaged blob. May be empty.
    std::function<void(const std::string&)> notice;
    std::shared_ptr<const ImagePolicy> policy;  // null: every image may be used
  };
  // After a boot all blobs are read in the background: where one is damaged (a disk may lose what
  // it said it had written) the images that need it are forgotten, so that they are pulled again.
  static Result<std::unique_ptr<ImageStore>> Open(const HostPath& root,
                                                  const OpenOptions& options = {});
  virtual ~ImageStore() = default;

  struct Progress {
    std::string layer;  // diffID, or the compressed digest while the former is unknown
    uint64_t done_bytes = 0;
    uint64_t total_bytes = 0;
    bool finished = false;
  };
  using ProgressSink = std::function<void(const Progress&)>;
  struct LoadOptions {
    std::string reference;  // overrides the archive's own names; empty: take those
    ProgressSink progress;  // from several threads; may be empty
    Deadline deadline = Deadline::Never();
    std::function<bool()> cancelled = {};  // from several threads; empty: nobody cancels
  };
  // An OCI layout (folder or tar) or a docker archive, compressed or not, recognised by content.
  // Layers are converted in parallel. Returns the images it held.
  virtual Result<std::vector<Image>> Load(const HostPath& source, const LoadOptions& options) = 0;

  // An image whose layers come from elsewhere: those that are not here, or are damaged here, are
  // read, several at once, each once however many calls want it. Its names move to it.
  virtual Result<Image> Add(const IncomingImage& image, const LoadOptions& options) = 0;

  virtual Result<std::vector<Image>> List() = 0;
  // By id (with or without "sha256:"), tag, digest or short name; nullopt where there is none.
  // kInvalidArgument where the reference itself is malformed.
  virtual Result<std::optional<Image>> Find(const std::string& reference) = 0;
  // The config of an image, as its registry has it; kNotFound.
  virtual Result<std::string> ConfigText(const std::string& image_id) = 0;
  // Whether an image that Find gave may be used where `reference` was asked for, see ImagePolicy.
  virtual Status Admit(const Image& image, const std::string& reference) {
    (void)image, (void)reference;
    return {};
  }
  // Removes the whole image that a reference names; success where there is none. Blobs that a
  // pinned lease uses stay until the lease ends.
  virtual Status Remove(const std::string& reference) = 0;

  enum class RootfsKind {
    kLayers,      // one blob per layer (namespaces hull)
    kMergedDisk,  // plus the metadata that makes one disk of them (vm hull), written when first
                  // asked
  };
  // Layers, paths and sizes for a container made from this image; the caller fills in the rest.
  // The blobs are kept for as long as `holder` (a container id) has a lease on them: leases are in
  // the index, survive the daemon and are dropped by DropLease or DropLeasesExcept.
  virtual Result<spec::RootfsSpec> Lease(const std::string& image_id, const std::string& holder,
                                         RootfsKind kind) = 0;
  virtual Status DropLease(const std::string& holder) = 0;
  virtual Status DropLeasesExcept(const std::vector<std::string>& holders) = 0;

  struct Usage {
    HostPath mountpoint;  // a folder that can be statfs'ed
    uint64_t used_bytes = 0;
    uint64_t inodes_used = 0;
  };
  virtual Result<Usage> DiskUsage() = 0;
};

}  // namespace catamaran
