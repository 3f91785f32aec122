// Image config, manifest and docker manifest JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cri/images/image_config.h"
#include "cri/images/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto config = catamaran::ParseImageConfig(text)) {
    for (const auto& volume : config->config.volumes)
      if (!volume.starts_with("/") || volume.find("/../") != std::string::npos) abort();
  }
  (void)catamaran::ParseManifest(text, "manifest");
  (void)catamaran::ParseDockerManifest(text);
  return 0;
}
