#include "cri/config/read_metrics.h"

#include "cri/config/ip_port.h"

namespace catamaran {
namespace {

Status ReadTls(const YamlValue& value, MetricsConfig* metrics) {
  RETURN_IF_ERROR(value.ReadMapping({
      {"certificate",
       [=](const YamlValue& v) { return v.ReadAbsolutePath(&metrics->certificate); }},
      {"key", [=](const YamlValue& v) { return v.ReadAbsolutePath(&metrics->key); }},
      {"client_ca", [=](const YamlValue& v) { return v.ReadAbsolutePath(&metrics->client_ca); }},
  }));
  if (metrics->certificate.empty() || metrics->key.empty())
    return value.Wrong("a mapping with certificate and key: PEM files");
  return {};
}

}  // namespace

Status ReadMetrics(const YamlValue& value, MetricsConfig* metrics) {
  RETURN_IF_ERROR(value.ReadMapping({
      {"address",
       [=](const YamlValue& v) { return ReadIpPort(v, &metrics->address, &metrics->port); }},
      {"tls", [=](const YamlValue& v) { return ReadTls(v, metrics); }},
  }));
  if (metrics->address.empty() && !metrics->certificate.empty())
    return value.Wrong("with an address where it has tls: on the unix socket there is none");
  if (!metrics->address.empty() && metrics->certificate.empty() && !IsLoopback(metrics->address))
    return value.Wrong("with tls where address is not on loopback (127.0.0.1, [::1])");
  return {};
}

}  // namespace catamaran
