#pragma once

#include <memory>
#include <string>

#include "cri/images/incoming_image.h"
#include "cri/images/layer/byte_source.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// What has arrived of large layers, as it came, in files beside the blobs, so that a pull that was
// cut goes on where it was, in this process or the next. It is not synced and nobody believes it:
// it passes through the same hashes as what comes behind it. Files are told apart by origin, so
// that no registry can spoil another's layers. Thread-safe.
class PartialLayers {
 public:
  explicit PartialLayers(HostPath folder) : folder_(std::move(folder)) {}

  // How the reading of a layer ended.
  enum class End { kWhole, kCut, kWrong };

  // A layer's bytes: those that are kept, then those that its source has yet to give, which are
  // kept as well.
  class Layer : public ByteSource {
   public:
    Result<size_t> Read(char* buffer, size_t size) override;
    // Whether bytes of an earlier try were read.
    bool resumed() const { return resumed_; }
    // kCut keeps the bytes, anything else removes them. Once; without it they are removed.
    void Finish(End end);
    ~Layer() override;

   private:
    friend class PartialLayers;
    Layer(LayerSource& source, Deadline deadline, std::function<bool()> cancelled)
        : source_(source), deadline_(deadline), cancelled_(std::move(cancelled)) {}
    void Keep(const char* bytes, size_t count);
    void StopKeeping();

    LayerSource& source_;
    const Deadline deadline_;
    const std::function<bool()> cancelled_;
    std::unique_ptr<ByteSource> rest_;  // null: still reading what is kept
    std::string path_;                  // empty: nothing is kept
    UniqueFd file_;
    uint64_t size_ = 0;  // of the layer
    uint64_t kept_ = 0;  // bytes in the file when it was opened
    bool resumed_ = false;
    uint64_t offset_ = 0;
  };

  // `layer` outlives the result. Keeps nothing where the layer is small, its source cannot go on in
  // the middle, another call is at the same layer, or the disk has little room.
  Result<std::unique_ptr<Layer>> Open(const IncomingLayer& layer, Deadline deadline,
                                      std::function<bool()> cancelled) const;
  // Removes what has been there too long, and the oldest of too much.
  void Sweep() const;

 private:
  bool HasRoomFor(uint64_t bytes) const;
  void OpenFileOf(const IncomingLayer& layer, Layer& opened) const;

  const HostPath folder_;
};

}  // namespace catamaran
