#include "cri/telemetry/otlp_post.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <charconv>

#include "cri/base/curl_easy.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestPem = 1 << 20;
constexpr size_t kLargestAnswer = 64 << 10;
constexpr long kConnectMilliseconds = 5000;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

std::unique_ptr<BIO, FreeBio> OpenBio(const std::string& pem) {
  return std::unique_ptr<BIO, FreeBio>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

struct Pem {
  std::string ca, certificate, key;
};

Result<std::string> ReadPem(const char* name, const HostPath& path) {
  if (path.empty()) return std::string();
  auto text = ReadFile(path.value(), kLargestPem);
  if (!text)
    return Fail(ErrorCode::kInvalidArgument, "tracing.tls.{}: {}", name, text.error().message);
  return text;
}

Result<Certificate> ReadCertificate(const char* name, const HostPath& path,
                                    const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(OpenBio(pem).get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr)
    return Fail(ErrorCode::kInvalidArgument, "tracing.tls.{}: '{}' holds no certificate (PEM)",
                name, path.string());
  return certificate;
}

Result<Pem> ReadPems(const TracingConfig& config) {
  Pem pem;
  ASSIGN_OR_RETURN(pem.ca, ReadPem("ca", config.ca));
  ASSIGN_OR_RETURN(pem.certificate, ReadPem("certificate", config.certificate));
  ASSIGN_OR_RETURN(pem.key, ReadPem("key", config.key));
  if (!pem.ca.empty()) {
    ASSIGN_OR_RETURN(const auto authority, ReadCertificate("ca", config.ca, pem.ca));
  }
  if (pem.certificate.empty()) return pem;
  ASSIGN_OR_RETURN(const auto certificate,
                   ReadCertificate("certificate", config.certificate, pem.certificate));
  const Key key(PEM_read_bio_PrivateKey(OpenBio(pem.key).get(), nullptr, nullptr, nullptr));
  if (key == nullptr || X509_check_private_key(certificate.get(), key.get()) != 1)
    return Fail(ErrorCode::kInvalidArgument, "tracing.tls.key: '{}' is not the key of '{}'",
                config.key.string(), config.certificate.string());
  return pem;
}

size_t TakeBody(char* data, size_t, size_t size, void* to) {
  auto& body = *static_cast<std::string*>(to);
  body.append(data, std::min(size, kLargestAnswer - std::min(body.size(), kLargestAnswer)));
  return size;
}

int AskCancelled(void* asked, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& cancelled = *static_cast<const std::function<bool()>*>(asked);
  return cancelled && cancelled() ? 1 : 0;
}

class HttpPost final : public OtlpPost {
 public:
  HttpPost(const TracingConfig& config, const Pem& pem, const std::string& version)
      : url_(config.endpoint + "/v1/traces") {
    for (const char* line : {"Content-Type: application/x-protobuf", "Expect:"})
      easy_.AddHeader(line);
    easy_.Set(CURLOPT_URL, url_.c_str());
    easy_.Set(CURLOPT_NOPROXY, "*");  // it is of this node or its cluster
    easy_.Set(CURLOPT_POST, 1L);
    easy_.Set(CURLOPT_USERAGENT, ("catamaran/" + version).c_str());
    easy_.Set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMilliseconds);
    easy_.Set(CURLOPT_WRITEFUNCTION, &TakeBody);
    easy_.Set(CURLOPT_ERRORBUFFER, error_text_);
    easy_.Set(CURLOPT_NOPROGRESS, 0L);
    easy_.Set(CURLOPT_XFERINFOFUNCTION, &AskCancelled);
    easy_.SetBlob(CURLOPT_CAINFO_BLOB, pem.ca);
    easy_.SetBlob(CURLOPT_SSLCERT_BLOB, pem.certificate);
    easy_.SetBlob(CURLOPT_SSLKEY_BLOB, pem.key);
  }

  Answer Post(const std::string& body, std::chrono::milliseconds patience,
              const std::function<bool()>& cancelled) override {
    Answer answer;
    error_text_[0] = '\0';
    easy_.Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    easy_.Set(CURLOPT_POSTFIELDS, body.data());
    easy_.Set(CURLOPT_TIMEOUT_MS, static_cast<long>(patience.count()));
    easy_.Set(CURLOPT_WRITEDATA, &answer.body);
    easy_.Set(CURLOPT_XFERINFODATA, &cancelled);
    const CURLcode code = curl_easy_perform(easy_.get());
    if (code != CURLE_OK) {
      answer.outcome = Outcome::kLater;
      answer.why = fmt::format("{}: {}", url_,
                               error_text_[0] == '\0' ? curl_easy_strerror(code) : error_text_);
      return answer;
    }
    return Judge(std::move(answer));
  }

 private:
  // OTLP, "OTLP/HTTP Response": which answers may be asked again.
  Answer Judge(Answer answer) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 == 2) {
      answer.outcome = Outcome::kTaken;
      return answer;
    }
    const bool later = status == 429 || status == 502 || status == 503 || status == 504;
    answer.outcome = later ? Outcome::kLater : Outcome::kRefused;
    answer.why = fmt::format("{}: HTTP status {}", url_, status);
    curl_off_t pause = 0;
    if (later && curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &pause) == CURLE_OK)
      answer.pause = std::chrono::seconds(pause);
    return answer;
  }
  const std::string url_;
  char error_text_[CURL_ERROR_SIZE] = {};
  CurlEasy easy_;  // last: it goes before what it points to
};

}  // namespace

Result<std::unique_ptr<OtlpPost>> OtlpPost::Open(const TracingConfig& config,
                                                 const std::string& version) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK)
    return Fail(ErrorCode::kInternal, "libcurl: {}", curl_easy_strerror(initialized));
  ASSIGN_OR_RETURN(const Pem pem, ReadPems(config));
  return std::make_unique<HttpPost>(config, pem, version);
}

}  // namespace catamaran
