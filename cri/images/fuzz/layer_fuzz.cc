// Layer archive → EROFS blob → tree → merged disk.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "cri/images/layer/layer_converter.h"
#include "cri/images/merged_disk.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {
namespace {

class BytesSource : public ByteSource {
 public:
  BytesSource(const uint8_t* data, size_t size) : data_(data), left_(size) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    const size_t count = std::min(size, left_);
    if (count > 0) memcpy(buffer, data_, count);
    data_ += count;
    left_ -= count;
    return count;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

LayerLimits SmallLimits() {
  LayerLimits limits;
  limits.entries = 2000;
  limits.metadata_bytes = 1 << 20;
  limits.plain_bytes = 8 << 20;
  limits.plain_base = 4 << 20;
  limits.stored_base = 4 << 20;
  return limits;
}

}  // namespace
}  // namespace catamaran

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;  // NOLINT: the one function of this program
  const UniqueFd blob(memfd_create("blob", MFD_CLOEXEC));
  BytesSource source(data, size);
  const auto layer = ConvertLayer(source, blob.get(), Hasher::Algorithm::kSha256, SmallLimits());
  if (!layer) return 0;
  const HostPath path("/proc/self/fd/" + std::to_string(blob.get()));
  const UniqueFd merged(memfd_create("merged", MFD_CLOEXEC));
  // What the writer wrote, the reader must be able to read.
  if (!WriteMergedMetadata(merged.get(), {{path, layer->size_bytes}, {path, layer->size_bytes}},
                           layer->diff_id))
    abort();
  return 0;
}
