// Any bytes as a configuration file: a value or an error with a line, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cri/config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const catamaran::ConfigPlaces places{catamaran::HostPath("/nowhere")};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto config = catamaran::ParseConfig(text, "fuzz.yaml", places);
  if (config && config->FindHandler("") == nullptr) __builtin_trap();
  if (!config && config.error().message.empty()) __builtin_trap();
  return 0;
}
