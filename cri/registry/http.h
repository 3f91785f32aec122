#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cri/images/layer/byte_source.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

// HTTP for registries: the only code that knows libcurl.
namespace catamaran {

// The parts of an absolute http(s) URL. What ToString gives may hold secrets in its query (signed
// URLs); errors show Shown().
struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address in brackets
  uint16_t port = 0;   // never 0: the scheme's where the text names none
  std::string path;    // starts with '/'
  std::string query;   // without '?', may be empty

  std::string Authority() const;  // "host", or "host:port" where the port is not the scheme's
  std::string Origin() const { return scheme + "://" + Authority(); }
  std::string Shown() const { return Origin() + path; }
  std::string ToString() const { return Shown() + (query.empty() ? "" : "?" + query); }
  bool SameOrigin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
  bool IsLoopback() const;  // localhost, 127.0.0.0/8 or [::1]
};
// kInvalidArgument for anything else, and for URLs that hold a user or a password.
Result<Url> ParseUrl(const std::string& text);
// What `location`, of a redirect, means seen from `base`.
Result<Url> ResolveUrl(const Url& base, const std::string& location);
// `text` as a part of a query or a form.
std::string PercentEncode(std::string_view text);

// How the server of a request is told from an impostor, and who we are to it. PEM texts.
struct TlsOptions {
  std::string ca;                  // trusted besides the system's; empty: those only
  std::string client_certificate;  // empty: none
  std::string client_key;
  bool skip_verify = false;
};

// When a request that hangs is given up.
struct HttpPatience {
  std::chrono::milliseconds connect{std::chrono::seconds(30)};
  std::chrono::milliseconds stall{std::chrono::seconds(60)};  // without a single byte
};

struct HttpRequest {
  enum class Method { kGet, kHead, kPost };
  using Header = std::pair<std::string, std::string>;

  Method method = Method::kGet;
  Url url;
  std::vector<Header> headers;
  std::string form;  // kPost: application/x-www-form-urlencoded
  const TlsOptions* tls = nullptr;
  HttpPatience patience;
  Deadline deadline = Deadline::Never();
  std::function<bool()> cancelled = {};
};

// An answer whose head is there and whose body is read as it arrives. Bounded memory.
class HttpResponse : public ByteSource {
 public:
  virtual int status() const = 0;
  // The values of a header, in order; `name` in lower case.
  virtual std::vector<std::string> Headers(std::string_view name) const = 0;
  std::string Header(std::string_view name) const;  // the first; empty where there is none
  // The whole body; kResourceExhausted beyond `limit` bytes.
  Result<std::string> ReadBody(size_t limit);
};

// Sends requests over connections that it keeps open. Redirects are not followed: who asks decides
// where credentials go. One thread at a time; destroy responses first.
class HttpSession {
 public:
  static std::unique_ptr<HttpSession> Create();
  virtual ~HttpSession() = default;

  // Returns once the head of the answer is there, whatever its status. kUnavailable where the
  // server cannot be reached, hangs or breaks off (also from Read), kFailedPrecondition where it
  // is not the one it should be (TLS), kDeadlineExceeded.
  virtual Result<std::unique_ptr<HttpResponse>> Send(const HttpRequest& request) = 0;
};

}  // namespace catamaran
