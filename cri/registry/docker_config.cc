#include "cri/registry/docker_config.h"

#include <cstdlib>

#include "cri/base/json.h"
#include "cri/registry/credential_helper.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 4 << 20;
// Of a service without an environment.
constexpr char kUsualPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

Result<AuthFields> ReadFields(const JsonObject& entry) {
  AuthFields fields;
  ASSIGN_OR_RETURN(fields.username, entry.String("username"));
  ASSIGN_OR_RETURN(fields.password, entry.String("password"));
  ASSIGN_OR_RETURN(fields.auth, entry.String("auth"));
  ASSIGN_OR_RETURN(fields.identity_token, entry.String("identitytoken"));
  ASSIGN_OR_RETURN(fields.registry_token, entry.String("registrytoken"));
  return fields;
}

// Helpers keep Docker Hub's credentials under the address that `docker login` has used ever since.
std::string ServerOf(const std::string& host) {
  return host == "docker.io" ? "https://index.docker.io/v1/" : host;
}

Result<std::optional<Credentials>> FindInFile(const JsonObject& root, const std::string& file_name,
                                              const std::string& registry) {
  ASSIGN_OR_RETURN(const auto auths, root.Object("auths"));
  ASSIGN_OR_RETURN(const auto keys, root.Keys("auths"));
  for (const auto& key : keys) {
    if (RegistryOfAddress(key) != registry) continue;
    ASSIGN_OR_RETURN(const auto entry, auths.Object(key.c_str()));
    ASSIGN_OR_RETURN(const auto fields, ReadFields(entry));
    auto credentials = CredentialsFor(fields, registry);
    if (!credentials)
      return tl::unexpected(
          std::move(credentials).error().While(fmt::format("{}: auths.{}", file_name, key)));
    if (!credentials->empty()) return std::optional(std::move(*credentials));
  }
  return std::nullopt;
}

}  // namespace

Result<DockerConfigAnswer> ReadDockerConfig(std::string_view text, const std::string& file_name,
                                            const std::string& host) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, file_name));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, file_name));
  const std::string registry = RegistryOfAddress(host);
  ASSIGN_OR_RETURN(const auto helpers, root.StringMap("credHelpers"));
  for (const auto& [key, helper] : helpers)
    if (RegistryOfAddress(key) == registry && !helper.empty())
      return DockerConfigAnswer{std::nullopt, helper, ServerOf(registry), "credHelpers." + key};
  ASSIGN_OR_RETURN(auto credentials, FindInFile(root, file_name, registry));
  if (credentials) return DockerConfigAnswer{std::move(credentials), "", "", ""};
  ASSIGN_OR_RETURN(const auto store, root.String("credsStore"));
  if (store.empty()) return DockerConfigAnswer{};
  return DockerConfigAnswer{std::nullopt, store, ServerOf(registry), "credsStore"};
}

Result<std::optional<Credentials>> CredentialsFromDockerConfig(const HostPath& file,
                                                               const std::string& host,
                                                               const std::string& helper_path,
                                                               Deadline deadline) {
  ASSIGN_OR_RETURN(const auto text, ReadFile(file.value(), kLargestFile));
  ASSIGN_OR_RETURN(auto answer, ReadDockerConfig(text, file.string(), host));
  if (answer.helper.empty()) return std::move(answer.credentials);
  const char* path = getenv("PATH");
  auto credentials = AskCredentialHelper(
      answer.helper, answer.server,
      !helper_path.empty() ? helper_path : (path != nullptr ? path : kUsualPath), deadline);
  if (!credentials)
    return tl::unexpected(
        std::move(credentials).error().While(file.string() + ": " + answer.field));
  return credentials;
}

}  // namespace catamaran
