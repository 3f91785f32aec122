// Any bytes as a CDI file, in both formats: a value or an error with words, never a crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cri/cdi/cdi_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using catamaran::CdiFormat;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const CdiFormat format : {CdiFormat::kJson, CdiFormat::kYaml}) {
    const auto spec = catamaran::ParseCdiSpec(text, format, "fuzz");
    if (!spec && spec.error().message.empty()) __builtin_trap();
    if (spec && (spec->devices.empty() || spec->kind.find('/') == std::string::npos))
      __builtin_trap();
  }
  return 0;
}
