#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

struct evp_pkey_st;

namespace catamaran {

// A key that signatures are checked with: ECDSA on NIST's curves and RSA (PKCS #1 v1.5) of at least
// 2048 bits, both over SHA-256, or Ed25519: what cosign makes and takes. Thread-safe.
class PublicKey {
 public:
  // PEM, "-----BEGIN PUBLIC KEY-----". kInvalidArgument naming `what`.
  static Result<PublicKey> Parse(std::string_view pem, std::string_view what);

  bool Verifies(std::string_view data, std::string_view signature) const;
  // "sha256:<hex>" of the key itself (DER), wherever its file is.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  PublicKey(std::shared_ptr<evp_pkey_st> key, std::string fingerprint)
      : key_(std::move(key)), fingerprint_(std::move(fingerprint)) {}

  std::shared_ptr<evp_pkey_st> key_;
  std::string fingerprint_;
};

}  // namespace catamaran
