#include <arpa/inet.h>
#include <curl/curl.h>

#include "cri/base/text.h"
#include "cri/registry/http.h"

namespace catamaran {
namespace {

constexpr size_t kLongestUrl = 16 << 10;  // signed URLs of object stores have a few KiB

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlUrl = std::unique_ptr<CURLU, FreeUrl>;

std::string PartOf(const CurlUrl& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK || text == nullptr) return "";
  std::string value(text);
  curl_free(text);
  return value;
}

// Not the text itself: it may hold secrets.
tl::unexpected<Error> NotAUrl(const char* why) {
  return Fail(ErrorCode::kInvalidArgument, "a URL {}: must be http:// or https:// and a host", why);
}

Result<Url> PartsOf(const CurlUrl& parsed) {
  Url url;
  url.scheme = PartOf(parsed, CURLUPART_SCHEME);
  url.host = ToLower(PartOf(parsed, CURLUPART_HOST));
  if (url.scheme != "http" && url.scheme != "https") return NotAUrl("is of another scheme");
  if (url.host.empty()) return NotAUrl("names no host");
  if (!PartOf(parsed, CURLUPART_USER).empty() || !PartOf(parsed, CURLUPART_PASSWORD).empty())
    return NotAUrl("holds a user or a password");
  const std::string port = PartOf(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  const long number = strtol(port.c_str(), nullptr, 10);
  if (number < 1 || number > 65535) return NotAUrl("has no usable port");
  url.port = static_cast<uint16_t>(number);
  url.path = PartOf(parsed, CURLUPART_PATH);
  if (url.path.empty()) url.path = "/";
  url.query = PartOf(parsed, CURLUPART_QUERY);
  return url;
}

Result<Url> Parse(const CurlUrl& url, const std::string& text) {
  if (text.size() > kLongestUrl || HasControlCharacters(text) ||
      text.find(' ') != std::string::npos)
    return NotAUrl("is too long or holds blanks or control characters");
  // libcurl takes "https:///x" for the host x.
  const size_t scheme = text.find_first_of(":/?#");
  if (scheme != std::string::npos && text.substr(scheme).starts_with(":///"))
    return NotAUrl("names no host");
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return NotAUrl("cannot be read");
  return PartsOf(url);
}

}  // namespace

Result<Url> ParseUrl(const std::string& text) { return Parse(CurlUrl(curl_url()), text); }

Result<Url> ResolveUrl(const Url& base, const std::string& location) {
  CurlUrl url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, base.ToString().c_str(), 0) != CURLUE_OK)
    return NotAUrl("cannot be read");
  return Parse(url, location);
}

std::string Url::Authority() const {
  const uint16_t usual = scheme == "https" ? 443 : 80;
  return port == usual ? host : fmt::format("{}:{}", host, port);
}

bool Url::IsLoopback() const {
  if (host == "localhost" || host == "[::1]") return true;
  in_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

std::string PercentEncode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace catamaran
