#include "cri/registry/credentials.h"

#include "cri/base/base64.h"
#include "cri/base/json.h"
#include "cri/base/text.h"
#include "cri/images/hasher.h"

namespace catamaran {
namespace {

constexpr char kDockerHub[] = "docker.io";
constexpr size_t kLongestField = 64 << 10;

// "https://index.docker.io/v1/" and "index.docker.io" are both docker.io.
std::string HostOf(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != std::string_view::npos)
    address.remove_prefix(scheme + 3);
  const std::string host = ToLower(address.substr(0, address.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? kDockerHub : host;
}

Result<Credentials> FromAuth(const std::string& auth) {
  auto decoded = DecodeBase64(auth);
  if (decoded)
    while (!decoded->empty() && decoded->back() == '\0') decoded->pop_back();
  const auto colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos)
    return Fail(ErrorCode::kInvalidArgument,
                "auth: what it holds is wrong: must be base64 of USERNAME:PASSWORD");
  return Credentials{decoded->substr(0, colon), decoded->substr(colon + 1), "", ""};
}

Result<AuthFields> ReadFields(const JsonObject& entry) {
  AuthFields fields;
  ASSIGN_OR_RETURN(fields.username, entry.String("username"));
  ASSIGN_OR_RETURN(fields.password, entry.String("password"));
  ASSIGN_OR_RETURN(fields.auth, entry.String("auth"));
  ASSIGN_OR_RETURN(fields.identity_token, entry.String("identitytoken"));
  ASSIGN_OR_RETURN(fields.registry_token, entry.String("registrytoken"));
  return fields;
}

}  // namespace

std::string Credentials::Fingerprint() const {
  std::string all;
  for (const auto* part : {&username, &password, &identity_token, &registry_token})
    all += fmt::format("{}:{}", part->size(), *part);
  return Sha256Of(all);
}

Result<Credentials> CredentialsFor(const AuthFields& fields, const std::string& host) {
  for (const auto* part : {&fields.username, &fields.password, &fields.auth, &fields.identity_token,
                           &fields.registry_token})
    if (part->size() > kLongestField)
      return Fail(ErrorCode::kInvalidArgument, "auth: a field is longer than {} bytes",
                  kLongestField);
  if (!fields.server_address.empty() && HostOf(fields.server_address) != HostOf(host))
    return Credentials();
  if (!fields.registry_token.empty()) return Credentials{"", "", "", fields.registry_token};
  if (!fields.identity_token.empty()) return Credentials{"", "", fields.identity_token, ""};
  if (!fields.username.empty() || !fields.password.empty())
    return Credentials{fields.username, fields.password, "", ""};
  if (fields.auth.empty()) return Credentials();
  return FromAuth(fields.auth);
}

Result<std::optional<Credentials>> CredentialsFromDockerConfig(std::string_view text,
                                                               const std::string& file_name,
                                                               const std::string& host) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, file_name));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, file_name));
  const auto wanted = [&](const std::string& key) { return HostOf(key) == HostOf(host); };
  ASSIGN_OR_RETURN(const auto helpers, root.StringMap("credHelpers"));
  for (const auto& [key, helper] : helpers)
    if (wanted(key))
      return Fail(ErrorCode::kUnimplemented,
                  "{}: credHelpers.{}: credential helpers are not run by this daemon: put the "
                  "credentials into auths, or use the kubelet's credential providers",
                  file_name, key);
  ASSIGN_OR_RETURN(const auto auths, root.Object("auths"));
  ASSIGN_OR_RETURN(const auto keys, root.Keys("auths"));
  for (const auto& key : keys) {
    if (!wanted(key)) continue;
    ASSIGN_OR_RETURN(const auto entry, auths.Object(key.c_str()));
    ASSIGN_OR_RETURN(const auto fields, ReadFields(entry));
    auto credentials = CredentialsFor(fields, host);
    if (!credentials)
      return tl::unexpected(
          std::move(credentials).error().While(fmt::format("{}: auths.{}", file_name, key)));
    if (!credentials->empty()) return std::optional(std::move(*credentials));
  }
  ASSIGN_OR_RETURN(const auto store, root.String("credsStore"));
  if (!store.empty() && !keys.empty())
    for (const auto& key : keys)
      if (wanted(key))
        return Fail(ErrorCode::kUnimplemented,
                    "{}: credsStore: credential helpers are not run by this daemon: put the "
                    "credentials of {} into auths",
                    file_name, key);
  return std::nullopt;
}

}  // namespace catamaran
