// Any bytes as what a registry sends in headers and as a docker config: values or errors.
#include <cstddef>
#include <cstdint>
#include <string>

#include "cri/registry/challenge.h"
#include "cri/registry/credentials.h"
#include "cri/registry/docker_config.h"
#include "cri/registry/host_rotation.h"
#include "cri/registry/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto& challenge : catamaran::ParseChallenges(text))
    if (challenge.scheme.empty()) __builtin_trap();
  (void)catamaran::ParseRetryAfter(text);
  if (const auto url = catamaran::ParseUrl(text)) {
    // What was accepted is read again the same way.
    const auto again = catamaran::ParseUrl(url->ToString());
    if (!again || !again->SameOrigin(*url)) __builtin_trap();
  }
  const catamaran::Url base{"https", "r.test", 443, "/v2/", ""};
  (void)catamaran::ResolveUrl(base, text);
  (void)catamaran::CredentialsFor({"", "", text, "", "", ""}, "r.test");
  (void)catamaran::ReadDockerConfig(text, "config.json", "r.test");
  return 0;
}
