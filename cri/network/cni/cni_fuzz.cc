// Configuration files, plugins' answers and annotations: whatever they say, an answer comes back.
#include <cstdint>

#include "cri/network/cni/cni_result.h"
#include "cri/network/cni/json_text.h"
#include "cri/network/cni/network_list.h"
#include "cri/network/pod_bandwidth.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto list = ParseNetworkList(text, "fuzz"); list) {
    // What is recorded at ADD is read again at DEL.
    const auto again = ParseNetworkList(list->Text(), "fuzz");
    if (!again || again->Text() != list->Text()) __builtin_trap();
  }
  if (const auto object = ParseJsonObject(text, "fuzz"); object) {
    if (const auto result = ParseCniResult(*object, "fuzz"); result)
      (void)result->PodAddresses("eth0");
    (void)JsonText(ResultForVersion(*object, {0, 4, 0}));
  }
  (void)ParseQuantity(text);
  return 0;
}
