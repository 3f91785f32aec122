#include "cri/config/read_tracing.h"

#include <algorithm>
#include <string_view>

namespace catamaran {
namespace {

constexpr size_t kLongestServiceName = 63;

bool IsWord(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  });
}

// What follows the scheme: HOST[:PORT][/PATH]. Who the caller is belongs into certificates: an
// endpoint is shown wherever the configuration is.
bool IsPlace(std::string_view place) {
  const bool printable =
      std::all_of(place.begin(), place.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  return printable && !place.empty() && place.front() != '/' && place.front() != ':' &&
         place.find_first_of("@?#\\\"<>") == std::string_view::npos;
}

Status ReadEndpoint(const YamlValue& value, std::string* endpoint) {
  RETURN_IF_ERROR(value.Read(endpoint));
  const std::string_view text = *endpoint;
  const size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  if (scheme == 0 || !IsPlace(text.substr(scheme)))
    return value.Wrong("http://HOST:PORT or https://HOST:PORT of an OTLP collector, as 4318");
  while (endpoint->ends_with('/')) endpoint->pop_back();
  return {};
}

Status ReadServiceName(const YamlValue& value, std::string* name) {
  RETURN_IF_ERROR(value.Read(name));
  if (name->empty() || name->size() > kLongestServiceName || !IsWord(*name))
    return value.Wrong("1 to 63 letters, digits and '.', '_', '-'");
  return {};
}

Status ReadTls(const YamlValue& value, TracingConfig* tracing) {
  RETURN_IF_ERROR(value.ReadMapping({
      {"ca", [=](const YamlValue& v) { return v.ReadAbsolutePath(&tracing->ca); }},
      {"certificate",
       [=](const YamlValue& v) { return v.ReadAbsolutePath(&tracing->certificate); }},
      {"key", [=](const YamlValue& v) { return v.ReadAbsolutePath(&tracing->key); }},
  }));
  if (tracing->certificate.empty() != tracing->key.empty())
    return value.Wrong("with both certificate and key, or neither: PEM files");
  return {};
}

}  // namespace

Status ReadTracing(const YamlValue& value, TracingConfig* tracing) {
  bool has_tls = false;
  RETURN_IF_ERROR(value.ReadMapping({
      {"endpoint", [=](const YamlValue& v) { return ReadEndpoint(v, &tracing->endpoint); }},
      {"tls",
       [=, &has_tls](const YamlValue& v) {
         has_tls = true;
         return ReadTls(v, tracing);
       }},
      {"sampling_rate_per_million",
       [=](const YamlValue& v) {
         return v.Read(&tracing->sampling_rate_per_million, 0, 1'000'000);
       }},
      {"service_name",
       [=](const YamlValue& v) { return ReadServiceName(v, &tracing->service_name); }},
  }));
  if (has_tls && !tracing->endpoint.starts_with("https://"))
    return value.Wrong("with an endpoint of https:// where it has tls");
  return {};
}

}  // namespace catamaran
