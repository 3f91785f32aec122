#pragma once

#include <memory>
#include <string>

struct evp_pkey_st;

namespace catamaran {

// A private key of a test.
class Signer {
 public:
  enum class Kind { kP256, kP384, kRsa, kSmallRsa, kEd25519 };
  explicit Signer(Kind kind = Kind::kP256);

  std::string public_pem() const;
  std::string Sign(const std::string& data) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
  bool hashes_itself_;
};

// What cosign signs: that the image with this digest is called `name`.
std::string SimpleSigningPayload(const std::string& name, const std::string& digest);
// The manifest of "sha256-<hex>.sig" with these payloads and signatures.
std::string CosignManifest(const std::string& payload, const std::string& signature);
// A sigstore bundle: a statement about `digest`, signed.
std::string BundleOf(const std::string& digest, const Signer& signer,
                     const std::string& predicate = "https://sigstore.dev/cosign/sign/v1");

}  // namespace catamaran
