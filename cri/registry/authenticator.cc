#include "cri/registry/authenticator.h"

#include "cri/base/base64.h"
#include "cri/base/json.h"
#include "cri/registry/challenge.h"

namespace catamaran {
namespace {

constexpr size_t kLargestTokenAnswer = 1 << 20;
constexpr size_t kLongestToken = 64 << 10;
constexpr size_t kLongestParameter = 4 << 10;

std::string BasicHeader(const Credentials& credentials) {
  return "Basic " + EncodeBase64(credentials.username + ":" + credentials.password);
}

// Where the challenge wants tokens to be fetched. It is the registry's word, but not for sending
// passwords in clear over a network where the registry itself was asked over TLS.
Result<Url> Realm(const Challenge& challenge, const Url& registry) {
  ASSIGN_OR_RETURN(auto realm, ParseUrl(challenge.Parameter("realm")));
  if (realm.scheme == "http" && registry.scheme != "http" && !realm.IsLoopback())
    return Fail(ErrorCode::kPermissionDenied,
                "{} wants credentials to be sent to {} without encryption", registry.Origin(),
                realm.Origin());
  return realm;
}

std::string ScopeOf(const Challenge& challenge, const std::string& repository) {
  const std::string scope = challenge.Parameter("scope");
  return scope.empty() ? "repository:" + repository + ":pull" : scope;
}

HttpRequest TokenRequest(const Challenge& challenge, const Url& realm, const std::string& scope,
                         const Credentials& credentials, const HttpRequest& like) {
  const std::string service = challenge.Parameter("service");
  HttpRequest request;
  request.url = realm;
  request.patience = like.patience;
  request.deadline = like.deadline;
  request.cancelled = like.cancelled;
  const std::string asked =
      fmt::format("service={}&scope={}", PercentEncode(service), PercentEncode(scope));
  if (!credentials.identity_token.empty()) {
    request.method = HttpRequest::Method::kPost;
    request.form = fmt::format("grant_type=refresh_token&client_id=catamaran&{}&refresh_token={}",
                               asked, PercentEncode(credentials.identity_token));
    return request;
  }
  request.url.query += (request.url.query.empty() ? "" : "&") + asked;
  if (!credentials.username.empty() || !credentials.password.empty())
    request.headers.emplace_back("Authorization", BasicHeader(credentials));
  return request;
}

Result<std::string> TokenOf(const std::string& body, const Url& realm) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(body, realm.Shown()));
  ASSIGN_OR_RETURN(const auto object, JsonObject::From(json, realm.Shown()));
  ASSIGN_OR_RETURN(auto token, object.String("token"));
  if (token.empty()) {
    ASSIGN_OR_RETURN(token, object.String("access_token"));
  }
  if (token.empty() || token.size() > kLongestToken)
    return Fail(ErrorCode::kInvalidArgument, "{}: the answer holds no token of 1 to {} bytes",
                realm.Shown(), kLongestToken);
  return token;
}

Result<std::string> FetchToken(const Challenge& challenge, const RegistryHost& host,
                               const Credentials& credentials, const std::string& repository,
                               HttpSession& session, const HttpRequest& like) {
  for (const auto& [name, value] : challenge.parameters)
    if (value.size() > kLongestParameter)
      return Fail(ErrorCode::kInvalidArgument, "{}: the {} of its challenge is too long",
                  host.base.Origin(), name);
  ASSIGN_OR_RETURN(const Url realm, Realm(challenge, host.base));
  HttpRequest request =
      TokenRequest(challenge, realm, ScopeOf(challenge, repository), credentials, like);
  // A token server elsewhere may have its certificate from the same authority; what else the
  // configuration says is of the registry alone.
  const TlsOptions elsewhere{host.tls.ca, "", "", false};
  request.tls = realm.host == host.base.host ? &host.tls : &elsewhere;
  ASSIGN_OR_RETURN(const auto response, session.Send(request));
  const int status = response->status();
  if (status == 429 || status >= 500)
    return Fail(ErrorCode::kUnavailable, "{}: the token server answered {}", realm.Shown(), status);
  if (status != 200)
    return Fail(ErrorCode::kPermissionDenied, "{}: the token server answered {}", realm.Shown(),
                status);
  ASSIGN_OR_RETURN(const auto body, response->ReadBody(kLargestTokenAnswer));
  return TokenOf(body, realm);
}

}  // namespace

std::string Authenticator::Known(const Url& origin) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(origin.Origin());
  return found == known_.end() ? "" : found->second;
}

Result<std::string> Authenticator::Answer(const RegistryHost& host, const Credentials& credentials,
                                          const std::string& repository, const std::string& sent,
                                          const std::vector<std::string>& challenges,
                                          HttpSession& session, const HttpRequest& like) {
  const std::lock_guard lock(mutex_);
  std::string& known = known_[host.base.Origin()];
  if (!known.empty() && known != sent) return known;  // another thread was faster
  const auto denied = [&](const char* why) {
    return Fail(ErrorCode::kPermissionDenied, "{} wants authentication for {}: {}",
                host.base.Origin(), repository, why);
  };
  if (!credentials.registry_token.empty()) {
    if (!sent.empty()) return denied("it refused the registry token that the pull brought");
    return known = "Bearer " + credentials.registry_token;
  }
  for (const auto& header : challenges) {
    for (const Challenge& challenge : ParseChallenges(header)) {
      if (challenge.scheme == "bearer") {
        ASSIGN_OR_RETURN(const auto token,
                         FetchToken(challenge, host, credentials, repository, session, like));
        return known = "Bearer " + token;
      }
      if (challenge.scheme != "basic" || !credentials.identity_token.empty()) continue;
      if (credentials.empty()) continue;
      if (sent.starts_with("Basic ")) return denied("it refused the credentials");
      return known = BasicHeader(credentials);
    }
  }
  return denied(credentials.empty() ? "the pull brought no credentials"
                                    : "it offers no way for these credentials (Bearer, Basic)");
}

}  // namespace catamaran
