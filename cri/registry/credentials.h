#pragma once

#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// What proves to a registry who pulls. Never logged, never in an error.
struct Credentials {
  std::string username;
  std::string password;
  std::string identity_token;  // an OAuth 2 refresh token: what a token server takes
  std::string registry_token;  // a bearer token: what the registry itself takes

  bool empty() const {
    return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
  // A text that two credentials share only where they are the same; reveals nothing of them.
  std::string Fingerprint() const;
};

// What a pull brings: the fields of the CRI's AuthConfig, which are those of an entry of docker's
// config.json.
struct AuthFields {
  std::string username;
  std::string password;
  std::string auth;  // base64 of "username:password"
  std::string server_address;
  std::string identity_token;
  std::string registry_token;

  // Whether they prove nothing: a server's address alone does not.
  bool empty() const {
    return username.empty() && password.empty() && auth.empty() && identity_token.empty() &&
           registry_token.empty();
  }
};

// The credentials to use for the registry `host` ("docker.io", "r.test:5000"); none where the
// fields are for another server. kInvalidArgument, without their content, where they make no sense.
Result<Credentials> CredentialsFor(const AuthFields& fields, const std::string& host);

// The registry that an address means, as credentials are kept for it: "docker.io" for
// "https://index.docker.io/v1/", "r.test:5000" for "https://R.test:5000/v2/".
std::string RegistryOfAddress(std::string_view address);

}  // namespace catamaran
