// Any bytes as a manifest or an index from a registry.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cri/images/manifest.h"
#include "cri/images/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = catamaran::ParseManifest(text, "manifest");
  if (!parsed) return 0;
  if (parsed->manifest)
    for (const auto& layer : parsed->manifest->layers)
      if (!catamaran::IsDigest(layer.digest)) __builtin_trap();
  for (const auto& entry : parsed->index)
    if (entry.platform) (void)catamaran::PlatformFits(*entry.platform, catamaran::HostPlatform());
  return 0;
}
