#include "cri/registry/testing/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <memory>
#include <vector>

#include "cri/base/base64.h"

namespace catamaran {
namespace {

template <auto Function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    Function(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;

std::string TextOf(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

Bio BioOf(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Key KeyOf(const TestCertificate& pair) {
  return Key(PEM_read_bio_PrivateKey(BioOf(pair.key).get(), nullptr, nullptr, nullptr));
}

Certificate CertificateOf(const TestCertificate& pair) {
  return Certificate(PEM_read_bio_X509(BioOf(pair.certificate).get(), nullptr, nullptr, nullptr));
}

void Extend(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value));
  X509_add_ext(certificate, extension.get(), -1);
}

// Signed by `authority`, or by itself where that is null.
TestCertificate Make(const std::string& name, const TestCertificate* authority) {
  const Key key(EVP_RSA_gen(2048));
  const Certificate certificate(X509_new());
  X509* x509 = certificate.get();
  const Certificate issuer = authority ? CertificateOf(*authority) : nullptr;
  static long serial = 1;
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
  X509_set_pubkey(x509, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(issuer ? issuer.get() : x509));
  if (issuer == nullptr) {
    Extend(x509, x509, NID_basic_constraints, "critical,CA:TRUE");
  } else {
    Extend(x509, issuer.get(), NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  }
  X509_sign(x509, authority ? KeyOf(*authority).get() : key.get(), EVP_sha256());
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate_text.get(), x509);
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {TextOf(certificate_text), TextOf(key_text)};
}

std::string Base64Url(const std::string& bytes) {
  std::string text = EncodeBase64(bytes);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return text;
}

}  // namespace

TestCertificate MakeAuthority(const std::string& name) { return Make(name, nullptr); }

TestCertificate MakeCertificate(const std::string& name, const TestCertificate& authority) {
  return Make(name, &authority);
}

std::string SignToken(const std::string& claims, const TestCertificate& signer) {
  const Certificate certificate = CertificateOf(signer);
  std::string der(static_cast<size_t>(i2d_X509(certificate.get(), nullptr)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate.get(), &out);
  const std::string head = R"({"typ":"JWT","alg":"RS256","x5c":[")" + EncodeBase64(der) + "\"]}";
  const std::string text = Base64Url(head) + "." + Base64Url(claims);
  const Key key = KeyOf(signer);
  const std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get());
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
  std::vector<unsigned char> signature(size);
  EVP_DigestSign(context.get(), signature.data(), &size, data, text.size());
  return text + "." + Base64Url(std::string(signature.begin(), signature.begin() + size));
}

}  // namespace catamaran
