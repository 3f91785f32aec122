// Any bytes as a hosts.toml: hosts or an error that names the file, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cri/registry/hosts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto hosts =
      catamaran::ParseHosts(text, "hosts.toml", "r.test:5000", catamaran::HostPath("/nowhere"));
  if (hosts && hosts->empty()) __builtin_trap();
  if (!hosts && hosts.error().message.empty()) __builtin_trap();
  return 0;
}
