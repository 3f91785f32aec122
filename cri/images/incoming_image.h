#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/images/image_config.h"
#include "cri/images/image_store.h"
#include "cri/images/layer/byte_source.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Where the bytes of one layer come from, as they are stored there (compressed or not). One layer
// is read by one thread at a time.
class LayerSource {
 public:
  virtual ~LayerSource() = default;
  // The bytes from the start. Reading fails with kDeadlineExceeded where the deadline is over or
  // `cancelled` says so. The result must not outlive this source.
  virtual Result<std::unique_ptr<ByteSource>> Open(Deadline deadline,
                                                   std::function<bool()> cancelled) = 0;
  // Whether OpenAt can begin in the middle.
  virtual bool CanResume() const { return false; }
  // The bytes from `offset` on, where CanResume; else the offset is 0.
  virtual Result<std::unique_ptr<ByteSource>> OpenAt(uint64_t offset, Deadline deadline,
                                                     std::function<bool()> cancelled) {
    (void)offset;
    return Open(deadline, std::move(cancelled));
  }
  // What Open gave is not what the manifest promised. Whether another Open may give better bytes.
  virtual bool Distrust() { return false; }
  // Layers from the same origin may be waited for; another origin's might never come.
  virtual std::string Origin() const { return ""; }
};

struct IncomingLayer {
  std::string diff_id;         // what the image's config says it is
  bool id_is_derived = false;  // diff_id is none of the unpacked bytes, see artifact.h
  std::string digest;          // of the stored bytes; empty where nothing says
  uint64_t size_bytes = 0;     // of the stored bytes
  std::shared_ptr<LayerSource> source;
};

// An image on its way into the store: its config is checked, its layers are not read yet.
struct IncomingImage {
  std::string id;
  std::string config_text;
  ParsedImageConfig config;
  std::vector<IncomingLayer> layers;      // bottom first, one for each of the config's diffIDs
  std::vector<std::string> repo_tags;     // canonical
  std::vector<std::string> repo_digests;  // canonical
  std::vector<VerifiedSignature> signatures;
};

// The image of this config, without layers and names. kInvalidArgument where the config is
// malformed, for another machine, or has another number of diffIDs than the manifest has layers.
Result<IncomingImage> DescribeIncomingImage(std::string config_text, size_t layers);

}  // namespace catamaran
