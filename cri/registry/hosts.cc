#include "cri/registry/hosts.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>

#include "cri/base/go_duration.h"
#include "cri/base/text.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kMaximumHosts = 64;
constexpr char kApi[] = "/v2";

// What one host's table says, read strictly.
class HostReader {
 public:
  HostReader(const std::string& file_name, const HostPath& folder)
      : file_name_(file_name), folder_(folder) {}

  // `where`: "" at the top of the file, else the host's URL. Keys in `besides` are not for here.
  Status Read(const toml::table& table, const std::string& where,
              const std::vector<std::string_view>& besides, RegistryHost& host) const {
    for (const auto& [key, value] : table) {
      const std::string_view name = key.str();
      if (std::find(besides.begin(), besides.end(), name) != besides.end()) continue;
      RETURN_IF_ERROR(ReadKey(name, value, where, host));
    }
    return {};
  }

  tl::unexpected<Error> Wrong(const toml::node& node, std::string_view what,
                              std::string_view right) const {
    return Fail(ErrorCode::kInvalidArgument, "{}:{}: {} is wrong: must be {}", file_name_,
                node.source().begin.line, what, right);
  }

  // The URL of a host with "/v2" behind its path, unless override_path keeps that as it is.
  Result<Url> ReadBase(const toml::node& node, const std::string& text, bool override_path) const {
    auto url = ParseUrl(text.find("://") == std::string::npos ? "https://" + text : text);
    if (!url || !url->query.empty())
      return Wrong(node, "this host", "http:// or https://, a host, and at most a port and a path");
    while (url->path.ends_with('/')) url->path.pop_back();
    if (!override_path && !url->path.ends_with(kApi)) url->path += kApi;
    return url;
  }

 private:
  Status ReadKey(std::string_view name, const toml::node& value, const std::string& where,
                 RegistryHost& host) const {
    const std::string what = where.empty() ? std::string(name) : fmt::format("{}: {}", where, name);
    if (name == "capabilities") return ReadCapabilities(value, what, host);
    if (name == "ca") return ReadCa(value, what, host.tls);
    if (name == "client") return ReadClient(value, what, host.tls);
    if (name == "skip_verify") return ReadBool(value, what, host.tls.skip_verify);
    if (name == "header") return ReadHeaders(value, what, host.headers);
    if (name == "dial_timeout") return ReadDuration(value, what, host.dial_timeout);
    if (name == "override_path") return {};  // ReadBase's
    return Fail(ErrorCode::kInvalidArgument,
                "{}:{}: {}: unknown key; known are server, host, capabilities, ca, client, "
                "skip_verify, header, override_path, dial_timeout",
                file_name_, value.source().begin.line, what);
  }

  Status ReadBool(const toml::node& value, const std::string& what, bool& out) const {
    const auto* flag = value.as_boolean();
    if (flag == nullptr) return Wrong(value, what, "true or false");
    out = flag->get();
    return {};
  }

  Status ReadCapabilities(const toml::node& value, const std::string& what,
                          RegistryHost& host) const {
    constexpr char kRight[] = "a list of \"pull\", \"resolve\", \"push\" and \"referrers\"";
    const auto* list = value.as_array();
    if (list == nullptr) return Wrong(value, what, kRight);
    host.can_pull = host.can_resolve = false;
    for (const auto& item : *list) {
      const std::string word = item.value<std::string>().value_or("");
      if (word == "pull") {
        host.can_pull = true;
      } else if (word == "resolve") {
        host.can_resolve = true;
      } else if (word != "push" && word != "referrers") {
        return Wrong(item, what, kRight);
      }
    }
    return {};
  }

  Result<std::string> ReadPem(const toml::node& value, const std::string& what) const {
    const auto* path = value.as_string();
    if (path == nullptr || path->get().empty()) return Wrong(value, what, "the path of a PEM file");
    const std::filesystem::path given(path->get());
    auto text = ReadFile(given.is_absolute() ? given : folder_.value() / given, kLargestFile);
    if (!text)
      return tl::unexpected(std::move(text).error().While(
          fmt::format("{}:{}: {}", file_name_, value.source().begin.line, what)));
    if (text->find("-----BEGIN ") == std::string::npos)
      return Wrong(value, what, "the path of a PEM file; what is there is none");
    return text;
  }

  Status ReadCa(const toml::node& value, const std::string& what, TlsOptions& tls) const {
    if (value.is_string()) {
      ASSIGN_OR_RETURN(tls.ca, ReadPem(value, what));
      return {};
    }
    const auto* list = value.as_array();
    if (list == nullptr) return Wrong(value, what, "a path or a list of paths");
    for (const auto& item : *list) {
      ASSIGN_OR_RETURN(const auto text, ReadPem(item, what));
      tls.ca += text + "\n";
    }
    return {};
  }

  // "both.pem", ["both.pem"], [["client.cert", "client.key"]], or a pair of paths with an empty
  // key.
  Status ReadClient(const toml::node& value, const std::string& what, TlsOptions& tls) const {
    constexpr char kRight[] =
        "one certificate: a path (certificate and key in one file) or [[certificate, key]]";
    const toml::node* certificate = &value;
    const toml::node* key = nullptr;
    if (const auto* list = value.as_array()) {
      if (list->size() != 1) return Wrong(value, what, kRight);
      certificate = list->get(0);
      if (const auto* pair = certificate->as_array()) {
        if (pair->size() != 2) return Wrong(value, what, kRight);
        certificate = pair->get(0);
        key = pair->get(1);
        if (key->value<std::string>() == "") key = nullptr;
      }
    }
    if (!certificate->is_string() || (key != nullptr && !key->is_string()))
      return Wrong(value, what, kRight);
    ASSIGN_OR_RETURN(tls.client_certificate, ReadPem(*certificate, what));
    tls.client_key = tls.client_certificate;
    if (key != nullptr) {
      ASSIGN_OR_RETURN(tls.client_key, ReadPem(*key, what));
    }
    return {};
  }

  Status ReadHeaders(const toml::node& value, const std::string& what,
                     std::vector<HttpRequest::Header>& headers) const {
    constexpr char kRight[] = "a table of names and texts, or lists of texts";
    const auto* table = value.as_table();
    if (table == nullptr) return Wrong(value, what, kRight);
    for (const auto& [name, node] : *table) {
      const std::string header(name.str());
      const auto add = [&](const toml::node& item) -> Status {
        const auto text = item.value<std::string>();
        if (!text || header.empty() || header.find_first_of(" :\t\r\n") != std::string::npos ||
            HasControlCharacters(*text))
          return Wrong(item, what, kRight);
        headers.emplace_back(header, *text);
        return {};
      };
      const auto* list = node.as_array();
      if (list == nullptr) {
        RETURN_IF_ERROR(add(node));
        continue;
      }
      for (const auto& item : *list) RETURN_IF_ERROR(add(item));
    }
    return {};
  }

  Status ReadDuration(const toml::node& value, const std::string& what,
                      std::optional<std::chrono::milliseconds>& out) const {
    out = ParseGoDuration(value.value<std::string>().value_or(""));
    if (!out || out->count() == 0 || *out > std::chrono::hours(1))
      return Wrong(value, what, "a time up to an hour: \"30s\", \"500ms\", \"1m\"");
    return {};
  }

  const std::string& file_name_;
  const HostPath& folder_;
};

bool OverridesPath(const toml::table& table) {
  return table["override_path"].value<bool>().value_or(false);
}

// The mirrors in the order of the file: the parser sorts tables by name.
Result<std::vector<RegistryHost>> ReadMirrors(const toml::table& root, const HostReader& reader) {
  const toml::node* node = root.get("host");
  std::vector<RegistryHost> mirrors;
  if (node == nullptr) return mirrors;
  const auto* table = node->as_table();
  if (table == nullptr) return reader.Wrong(*node, "host", "tables: [host.\"https://mirror\"]");
  std::vector<std::pair<std::string, const toml::table*>> entries;
  for (const auto& [name, entry] : *table) {
    if (!entry.is_table())
      return reader.Wrong(entry, "host", "a table for each mirror: [host.\"https://mirror\"]");
    entries.emplace_back(name.str(), entry.as_table());
  }
  if (entries.size() > kMaximumHosts) return reader.Wrong(*node, "host", "at most 64 mirrors");
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto& left = a.second->source().begin;
    const auto& right = b.second->source().begin;
    return left < right;
  });
  for (const auto& [name, entry] : entries) {
    RegistryHost host;
    const auto* overrides = entry->get("override_path");
    if (overrides != nullptr && !overrides->is_boolean())
      return reader.Wrong(*overrides, name + ": override_path", "true or false");
    ASSIGN_OR_RETURN(host.base, reader.ReadBase(*entry, name, OverridesPath(*entry)));
    RETURN_IF_ERROR(reader.Read(*entry, name, {}, host));
    mirrors.push_back(std::move(host));
  }
  return mirrors;
}

}  // namespace

Result<RegistryHost> DefaultHost(const std::string& registry) {
  const std::string name = registry == "docker.io" ? "registry-1.docker.io" : registry;
  RegistryHost host;
  ASSIGN_OR_RETURN(host.base, ParseUrl("https://" + name + kApi));
  if (host.base.IsLoopback() && host.base.port != 443) host.base.scheme = "http";
  return host;
}

Result<std::vector<RegistryHost>> ParseHosts(std::string_view text, const std::string& file_name,
                                             const std::string& registry, const HostPath& folder) {
  const toml::parse_result parsed = toml::parse(text, file_name);
  if (!parsed)
    return Fail(ErrorCode::kInvalidArgument, "{}:{}: not TOML: {}", file_name,
                parsed.error().source().begin.line, parsed.error().description());
  const toml::table& root = parsed.table();
  const HostReader reader(file_name, folder);
  ASSIGN_OR_RETURN(auto hosts, ReadMirrors(root, reader));
  ASSIGN_OR_RETURN(RegistryHost upstream, DefaultHost(registry));
  const Url own = upstream.base;
  if (const toml::node* server = root.get("server")) {
    const auto* address = server->as_string();
    if (address == nullptr) return reader.Wrong(*server, "server", "a URL: https://HOST[:PORT]");
    ASSIGN_OR_RETURN(upstream.base, reader.ReadBase(*server, address->get(), OverridesPath(root)));
  }
  RETURN_IF_ERROR(reader.Read(root, "", {"server", "host"}, upstream));
  hosts.push_back(std::move(upstream));
  const Url server = hosts.back().base;
  for (RegistryHost& host : hosts)
    host.is_mirror = !host.base.SameOrigin(server) && !host.base.SameOrigin(own);
  return hosts;
}

Result<std::vector<RegistryHost>> HostsOf(const std::string& registry, const HostPath& hosts_dir) {
  if (!hosts_dir.empty()) {
    const auto colon = registry.find_last_not_of("0123456789");
    std::vector<std::string> names;
    if (colon != std::string::npos && registry[colon] == ':' && colon + 1 < registry.size())
      names.push_back(registry.substr(0, colon) + "_" + registry.substr(colon + 1) + "_");
    names.push_back(registry);
    names.push_back("_default");
    for (const auto& name : names) {
      const HostPath folder = hosts_dir / name;
      if (!Exists(folder.value())) continue;
      const HostPath file = folder / "hosts.toml";
      if (!Exists(file.value()))
        return Fail(ErrorCode::kInvalidArgument,
                    "{}: is missing: a folder of a registry must hold one (certificates are named "
                    "in it: ca, client)",
                    file.string());
      ASSIGN_OR_RETURN(const auto text, ReadFile(file.value(), kLargestFile));
      return ParseHosts(text, file.string(), registry, folder);
    }
  }
  ASSIGN_OR_RETURN(auto host, DefaultHost(registry));
  return std::vector<RegistryHost>{std::move(host)};
}

}  // namespace catamaran
