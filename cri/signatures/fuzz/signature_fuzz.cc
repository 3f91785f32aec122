#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "cri/signatures/public_key.h"
#include "cri/signatures/signature_rule.h"
#include "cri/signatures/signed_content.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace catamaran;
  const std::string text(reinterpret_cast<const char*>(data), size);
  static const std::string kDigest = "sha256:" + std::string(64, 'a');
  static const ImageReference kWanted = ParseImageReference("r.test/team/app:1").value();
  (void)ReadCosignManifest(text);
  (void)CheckSimpleSigning(text, kDigest, kWanted);
  (void)CheckStatement(text, kDigest);
  if (const auto bundle = ReadBundle(text)) (void)CheckStatement(bundle->statement, kDigest);
  if (const auto key = PublicKey::Parse(text, "key"); key && key->Verifies(text, text)) abort();
  const std::string scope = CanonicalScope(text);
  if (!scope.empty() && CanonicalScope(scope) != scope) abort();
  return 0;
}
