#include "cri/signatures/public_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "cri/images/hasher.h"

namespace catamaran {
namespace {

constexpr int kLeastRsaBits = 2048;
constexpr int kLeastCurveBits = 256;

bool IsStrong(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
      return EVP_PKEY_get_bits(key) >= kLeastRsaBits;
    case EVP_PKEY_EC:
      return EVP_PKEY_get_bits(key) >= kLeastCurveBits;
    case EVP_PKEY_ED25519:
      return true;
    default:
      return false;
  }
}

std::string FingerprintOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return "";
  const std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return Sha256Of(bytes);
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Result<PublicKey> PublicKey::Parse(std::string_view pem, std::string_view what) {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free_all);
  std::shared_ptr<EVP_PKEY> key(
      bio == nullptr ? nullptr : PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr),
      &EVP_PKEY_free);
  ERR_clear_error();
  if (key == nullptr || !IsStrong(key.get()))
    return Fail(ErrorCode::kInvalidArgument,
                "{}: holds no usable key: must be PEM with a PUBLIC KEY: ECDSA of 256 bits or "
                "more, RSA of 2048 or more, or Ed25519",
                what);
  std::string fingerprint = FingerprintOf(key.get());
  return PublicKey(std::move(key), std::move(fingerprint));
}

bool PublicKey::Verifies(std::string_view data, std::string_view signature) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  // Ed25519 hashes by itself.
  const EVP_MD* hash =
      EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  const bool valid = context != nullptr &&
                     EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key_.get()) == 1 &&
                     EVP_DigestVerify(context.get(), Bytes(signature), signature.size(),
                                      Bytes(data), data.size()) == 1;
  ERR_clear_error();
  return valid;
}

}  // namespace catamaran
