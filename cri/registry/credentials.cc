#include "cri/registry/credentials.h"

#include "cri/base/base64.h"
#include "cri/base/text.h"
#include "cri/images/hasher.h"

namespace catamaran {
namespace {

constexpr char kDockerHub[] = "docker.io";
constexpr size_t kLongestField = 64 << 10;

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

}  // namespace

std::string RegistryOfAddress(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != std::string_view::npos)
    address.remove_prefix(scheme + 3);
  const std::string host = ToLower(address.substr(0, address.find('/')));
  return host == "index.docker.io" || host == "registry-1.docker.io" ? kDockerHub : host;
}

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
  if (!fields.server_address.empty() &&
      RegistryOfAddress(fields.server_address) != RegistryOfAddress(host))
    return Credentials();
  if (!fields.registry_token.empty()) return Credentials{"", "", "", fields.registry_token};
  if (!fields.identity_token.empty()) return Credentials{"", "", fields.identity_token, ""};
  if (!fields.username.empty() || !fields.password.empty())
    return Credentials{fields.username, fields.password, "", ""};
  if (fields.auth.empty()) return Credentials();
  return FromAuth(fields.auth);
}

}  // namespace catamaran
