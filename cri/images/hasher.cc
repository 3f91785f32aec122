#include "cri/images/hasher.h"

#include <openssl/evp.h>

namespace catamaran {

void Hasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(Algorithm algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), algorithm == Algorithm::kSha256 ? EVP_sha256() : EVP_sha512(),
                    nullptr);
}

Hasher Hasher::For(std::string_view digest) {
  return Hasher(digest.starts_with("sha512:") ? Algorithm::kSha512 : Algorithm::kSha256);
}

void Hasher::Update(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }

std::string Hasher::Finish() {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), value, &size);
  std::string text = algorithm_ == Algorithm::kSha256 ? "sha256:" : "sha512:";
  constexpr char kDigits[] = "0123456789abcdef";
  for (unsigned int i = 0; i < size; ++i) {
    text += kDigits[value[i] >> 4];
    text += kDigits[value[i] & 15];
  }
  return text;
}

std::string Sha256Of(std::string_view content) {
  Hasher hasher;
  hasher.Update(content.data(), content.size());
  return hasher.Finish();
}

Status VerifyDigest(std::string_view content, std::string_view digest, std::string_view what) {
  Hasher hasher = Hasher::For(digest);
  hasher.Update(content.data(), content.size());
  const std::string actual = hasher.Finish();
  if (actual != digest)
    return Fail(ErrorCode::kDataLoss, "{} has digest {}, expected {}", what, actual, digest);
  return {};
}

}  // namespace catamaran
