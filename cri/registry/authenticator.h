#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cri/registry/credentials.h"
#include "cri/registry/hosts.h"
#include "cri/registry/http.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Answers the challenges of registries for one pull: anonymous tokens, tokens for credentials, and
// basic authentication (distribution-spec leaves it to https://distribution.github.io: "token
// authentication"). What it hands out is for the origin that asked only. Thread-safe.
class Authenticator {
 public:
  // The value of the Authorization header to send to `origin`; empty: none is known yet.
  std::string Known(const Url& origin);

  // What to send after a request that carried `sent` was answered 401 by `host` itself (not by
  // where it redirected to), with these WWW-Authenticate headers. `repository` as the host knows
  // it. kPermissionDenied where nothing better can be had; kUnavailable where the token server
  // cannot be reached.
  Result<std::string> Answer(const RegistryHost& host, const Credentials& credentials,
                             const std::string& repository, const std::string& sent,
                             const std::vector<std::string>& challenges, HttpSession& session,
                             const HttpRequest& like);

 private:
  std::mutex mutex_;  // held while a token is fetched: others need the same one
  std::map<std::string, std::string> known_;  // by origin
};

}  // namespace catamaran
