// Image references: what is accepted has one canonical form.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cri/images/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)catamaran::ParseImageId(text);
  const auto reference = catamaran::ParseImageReference(text);
  if (!reference) return 0;
  const auto again = catamaran::ParseImageReference(reference->ToString());
  if (!again || again->ToString() != reference->ToString()) abort();
  return 0;
}
