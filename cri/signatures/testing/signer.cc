#include "cri/signatures/testing/signer.h"

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include <vector>

#include "cri/base/base64.h"

namespace catamaran {
namespace {

EVP_PKEY* Generate(Signer::Kind kind) {
  switch (kind) {
    case Signer::Kind::kP256:
      return EVP_EC_gen("P-256");
    case Signer::Kind::kP384:
      return EVP_EC_gen("P-384");
    case Signer::Kind::kRsa:
      return EVP_RSA_gen(2048);
    case Signer::Kind::kSmallRsa:
      return EVP_RSA_gen(1024);
    case Signer::Kind::kEd25519:
      return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  }
  return nullptr;
}

std::string Hex256(const std::string& text) {
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  std::string hex;
  for (const unsigned char byte : hash) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace

Signer::Signer(Kind kind)
    : key_(Generate(kind), &EVP_PKEY_free), hashes_itself_(kind == Kind::kEd25519) {}

std::string Signer::public_pem() const {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), &BIO_free_all);
  PEM_write_bio_PUBKEY(bio.get(), key_.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string Signer::Sign(const std::string& data) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  EVP_DigestSignInit(context.get(), nullptr, hashes_itself_ ? nullptr : EVP_sha256(), nullptr,
                     key_.get());
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, bytes, data.size());
  std::vector<unsigned char> signature(size);
  EVP_DigestSign(context.get(), signature.data(), &size, bytes, data.size());
  return {signature.begin(), signature.begin() + static_cast<long>(size)};
}

std::string SimpleSigningPayload(const std::string& name, const std::string& digest) {
  return fmt::format(
      R"({{"critical":{{"identity":{{"docker-reference":"{}"}},"image":{{"docker-manifest-digest":)"
      R"("{}"}},"type":"cosign container image signature"}},"optional":null}})",
      name, digest);
}

std::string CosignManifest(const std::string& payload, const std::string& signature) {
  return fmt::format(
      R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("config":{{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,)"
      R"("digest":"sha256:{}"}},"layers":[{{"mediaType":)"
      R"("application/vnd.dev.cosign.simplesigning.v1+json","size":{},"digest":"sha256:{}",)"
      R"("annotations":{{"dev.cosignproject.cosign/signature":"{}"}}}}]}})",
      Hex256("{}"), payload.size(), Hex256(payload), EncodeBase64(signature));
}

std::string BundleOf(const std::string& digest, const Signer& signer,
                     const std::string& predicate) {
  const std::string statement = fmt::format(
      R"({{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],)"
      R"("predicateType":"{}","predicate":{{}}}})",
      digest.substr(digest.find(':') + 1), predicate);
  const std::string type = "application/vnd.in-toto+json";
  const std::string encoded =
      fmt::format("DSSEv1 {} {} {} {}", type.size(), type, statement.size(), statement);
  return fmt::format(
      R"({{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":)"
      R"({{"publicKey":{{"hint":"x"}}}},"dsseEnvelope":{{"payload":"{}","payloadType":"{}",)"
      R"("signatures":[{{"sig":"{}"}}]}}}})",
      EncodeBase64(statement), type, EncodeBase64(signer.Sign(encoded)));
}

}  // namespace catamaran
