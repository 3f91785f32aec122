#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cri/registry/http.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// One place where images of a registry can be had: the registry itself or a mirror of it.
struct RegistryHost {
  Url base;                 // up to and with "/v2"
  bool can_pull = true;     // manifests by digest, and blobs
  bool can_resolve = true;  // tags: only who is trusted to say what a name means
  bool is_mirror = false;   // not the registry that the image's name means
  TlsOptions tls;
  std::vector<HttpRequest::Header> headers;  // sent with every request to this origin
  std::optional<std::chrono::milliseconds> dial_timeout;
};

// Where images of `registry` ("docker.io", "r.test:5000") are looked for, in order. `hosts_dir` is
// a folder in containerd's form (its docs/hosts.md): <registry>/hosts.toml, else
// _default/hosts.toml; empty: none. Files are read at each call. kInvalidArgument naming file and
// line, and what would be right, where one is wrong.
Result<std::vector<RegistryHost>> HostsOf(const std::string& registry, const HostPath& hosts_dir);

// The same of the text of one hosts.toml. `folder`: where its relative paths start.
Result<std::vector<RegistryHost>> ParseHosts(std::string_view text, const std::string& file_name,
                                             const std::string& registry, const HostPath& folder);

// The registry itself, as without any configuration: HTTPS, but HTTP for a loopback address with a
// port of its own. kInvalidArgument where the name is no host.
Result<RegistryHost> DefaultHost(const std::string& registry);

}  // namespace catamaran
