#include "cri/registry/registry_client.h"

#include <algorithm>

#include "cri/base/json.h"
#include "cri/base/text.h"
#include "cri/images/hasher.h"
#include "cri/images/reference.h"
#include "cri/registry/blob_stream.h"
#include "cri/registry/redirect_rules.h"

namespace catamaran {
namespace {

constexpr int kMaximumRedirects = 10;
constexpr int kMaximumChallenges = 3;  // of one request: none sent, a token that ran out, another
constexpr size_t kMaximumErrorBytes = 64 << 10;
constexpr size_t kLongestWords = 200;  // of a server, in our errors
constexpr char kManifestTypes[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// "MANIFEST_UNKNOWN: manifest unknown", of distribution-spec's error body; empty where it is none.
std::string MessageOf(const std::string& body) {
  std::string message;
  const auto json = ParseJson(body, "answer");
  if (!json) return message;
  const auto object = JsonObject::From(*json, "answer");
  if (!object) return message;
  (void)object->ForEach("errors", [&](const nlohmann::json& item, std::string where) -> Status {
    if (!message.empty()) return {};
    ASSIGN_OR_RETURN(const auto entry, JsonObject::From(item, std::move(where)));
    ASSIGN_OR_RETURN(const auto code, entry.String("code"));
    ASSIGN_OR_RETURN(const auto text, entry.String("message"));
    message =
        OneLine(code, kLongestWords) + (text.empty() ? "" : ": ") + OneLine(text, kLongestWords);
    return {};
  });
  return message;
}

ErrorCode CodeOfStatus(int status) {
  if (status == 401 || status == 403) return ErrorCode::kPermissionDenied;
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 408 || status == 429 || status >= 500) return ErrorCode::kUnavailable;
  return ErrorCode::kUnknown;
}

}  // namespace

Error ErrorOfAnswer(HttpResponse& response, const std::string& what) {
  const int status = response.status();
  const auto body = response.ReadBody(kMaximumErrorBytes);
  const std::string message = body ? MessageOf(*body) : "";
  return {CodeOfStatus(status), 0,
          fmt::format("{}: the registry answered {}{}{}", what, status, message.empty() ? "" : ", ",
                      message)};
}

std::shared_ptr<HttpSession> RegistryClient::BorrowSession() {
  std::unique_ptr<HttpSession> session;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      session = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (session == nullptr) session = HttpSession::Create();
  return {session.release(), [this](HttpSession* done) {
            const std::lock_guard lock(mutex_);
            idle_.emplace_back(done);
          }};
}

std::vector<size_t> RegistryClient::HostsFor(Need need) {
  const std::lock_guard lock(mutex_);
  std::vector<size_t> chosen;
  for (const bool slow : {false, true})
    for (size_t i = 0; i < hosts_.size(); ++i)
      if (slow_[i] == slow &&
          (need == Need::kResolve ? hosts_[i].host.can_resolve : hosts_[i].host.can_pull))
        chosen.push_back(i);
  return chosen;
}

void RegistryClient::NoteReach(size_t host, bool reached) {
  const std::lock_guard lock(mutex_);
  slow_[host] = !reached;
}

Result<std::unique_ptr<HttpResponse>> RegistryClient::FollowRedirects(HttpRequest request,
                                                                      const TlsOptions& tls,
                                                                      HttpSession& session,
                                                                      bool& elsewhere) {
  const Url asked = request.url;
  // Away from the host that it is for, a client certificate is not shown.
  const TlsOptions other_tls{tls.ca, "", "", tls.skip_verify};
  for (int hop = 0; hop <= kMaximumRedirects; ++hop) {
    ASSIGN_OR_RETURN(auto response, session.Send(request));
    if (!IsRedirect(response->status())) return response;
    auto target = ResolveUrl(request.url, response->Header("location"));
    if (!target)
      return tl::unexpected(
          std::move(target).error().While(request.url.Shown() + ": its redirect leads to"));
    if (target->scheme == "http" && request.url.scheme == "https")
      return Fail(ErrorCode::kPermissionDenied,
                  "{} redirects from HTTPS to {}, which is not encrypted", request.url.Shown(),
                  target->Origin());
    (void)response->ReadBody(kMaximumErrorBytes);  // so that the connection can be used again
    request.url = std::move(*target);
    if (!request.url.SameOrigin(asked)) {
      elsewhere = true;
      request.tls = &other_tls;
      KeepWhatMayGoElsewhere(request);
    }
  }
  return Fail(ErrorCode::kUnavailable, "{} redirects more than {} times", asked.Shown(),
              kMaximumRedirects);
}

Result<std::unique_ptr<HttpResponse>> RegistryClient::Ask(size_t index, const Wanted& wanted,
                                                          HttpSession& session,
                                                          const Caller& caller) {
  const auto& [host, credentials] = hosts_[index];
  HttpRequest request;
  request.url = host.base;
  request.url.path += "/" + repository_ + wanted.path;
  if (host.is_mirror) request.url.query = "ns=" + PercentEncode(registry_);
  request.tls = &host.tls;
  request.patience = patience_.http;
  if (host.dial_timeout) request.patience.connect = *host.dial_timeout;
  request.deadline = caller.deadline;
  request.cancelled = caller.cancelled;
  std::string authorization = authenticator_.Known(host.base);
  for (int round = 0;; ++round) {
    request.headers = wanted.headers;
    request.headers.insert(request.headers.end(), host.headers.begin(), host.headers.end());
    if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
    bool elsewhere = false;
    ASSIGN_OR_RETURN(auto response, FollowRedirects(request, host.tls, session, elsewhere));
    if (response->status() != 401 || elsewhere || round + 1 == kMaximumChallenges) return response;
    const auto challenges = response->Headers("www-authenticate");
    if (challenges.empty()) return response;
    (void)response->ReadBody(kMaximumErrorBytes);
    response.reset();
    ASSIGN_OR_RETURN(authorization,
                     authenticator_.Answer(host, credentials, repository_, authorization,
                                           challenges, session, request));
  }
}

Result<size_t> RegistryClient::AskInTurn(HostRotation& rotation, const Wanted& wanted,
                                         HttpSession& session, const Caller& caller,
                                         const Accept& accept) {
  for (;;) {
    ASSIGN_OR_RETURN(const size_t host, rotation.Next(caller.deadline, caller.cancelled));
    const std::string origin = hosts_[host].host.base.Origin();
    std::optional<std::chrono::milliseconds> wait;
    Error error;
    if (auto response = Ask(host, wanted, session, caller); !response) {
      error = std::move(response).error();
    } else if (const int status = (*response)->status(); status == 200 || status == 206) {
      auto accepted = accept(std::move(*response));
      if (accepted) {
        NoteReach(host, true);
        return host;
      }
      error = std::move(accepted).error().While(origin);
    } else {
      wait = ParseRetryAfter((*response)->Header("retry-after"));
      error =
          ErrorOfAnswer(**response, fmt::format("{}: {} of {}", origin, wanted.what, repository_));
    }
    if (error.code == ErrorCode::kDeadlineExceeded) return tl::unexpected(std::move(error));
    NoteReach(host, error.code != ErrorCode::kUnavailable);
    rotation.Failed(std::move(error), wait);
  }
}

Result<RegistryClient::FetchedManifest> RegistryClient::ReadManifest(HttpResponse& response,
                                                                     const std::string& reference) {
  const std::string announced = response.Header("docker-content-digest");
  const bool by_digest = IsDigest(reference);
  FetchedManifest manifest;
  ASSIGN_OR_RETURN(manifest.text, response.ReadBody(kMaximumManifestBytes));
  manifest.digest = by_digest ? reference : Sha256Of(manifest.text);
  if (by_digest) RETURN_IF_ERROR(VerifyDigest(manifest.text, reference, "the manifest"));
  if (!by_digest && IsDigest(announced)) {
    RETURN_IF_ERROR(VerifyDigest(manifest.text, announced, "the manifest"));
    manifest.digest = announced;
  }
  return manifest;
}

Result<RegistryClient::FetchedManifest> RegistryClient::FetchManifest(const std::string& reference,
                                                                      const Caller& caller) {
  return FetchManifest(reference, IsDigest(reference) ? Need::kPull : Need::kResolve, caller);
}

Result<RegistryClient::FetchedManifest> RegistryClient::FetchManifestFromAny(const std::string& tag,
                                                                             const Caller& caller) {
  return FetchManifest(tag, Need::kPull, caller);
}

Result<RegistryClient::FetchedManifest> RegistryClient::FetchReferrers(const std::string& digest,
                                                                       const std::string& tag,
                                                                       const Caller& caller) {
  const auto session = BorrowSession();
  const Wanted wanted{
      "referrers of " + digest, "/referrers/" + digest, {{"Accept", kManifestTypes}}};
  HostRotation rotation(HostsFor(Need::kPull), patience_.retry);
  FetchedManifest manifest;
  const auto read = [&](std::unique_ptr<HttpResponse> response) -> Status {
    if (response->status() != 200) return tl::unexpected(ErrorOfAnswer(*response, wanted.what));
    ASSIGN_OR_RETURN(manifest.text, response->ReadBody(kMaximumManifestBytes));
    return {};
  };
  const auto asked = AskInTurn(rotation, wanted, *session, caller, read);
  if (asked) return manifest;
  const bool has_no_api =
      asked.error().code == ErrorCode::kNotFound || asked.error().code == ErrorCode::kUnknown;
  if (!has_no_api || tag.empty()) return tl::unexpected(asked.error());
  return FetchManifestFromAny(tag, caller);
}

Result<RegistryClient::FetchedManifest> RegistryClient::FetchManifest(const std::string& reference,
                                                                      Need need,
                                                                      const Caller& caller) {
  const auto session = BorrowSession();
  const Wanted wanted{
      "manifest " + reference, "/manifests/" + reference, {{"Accept", kManifestTypes}}};
  const auto hosts = HostsFor(need);
  if (hosts.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "no host of {} has the capability that manifest {} needs (pull, resolve)",
                registry_, reference);
  HostRotation rotation(hosts, patience_.retry);
  FetchedManifest manifest;
  const auto read = [&](std::unique_ptr<HttpResponse> response) -> Status {
    if (response->status() != 200)
      return tl::unexpected(ErrorOfAnswer(*response, wanted.what));  // a part was not asked for
    ASSIGN_OR_RETURN(manifest, ReadManifest(*response, reference));
    return {};
  };
  RETURN_IF_ERROR(AskInTurn(rotation, wanted, *session, caller, read));
  return manifest;
}

Result<std::string> RegistryClient::FetchContent(const Descriptor& descriptor, size_t limit,
                                                 const Caller& caller) {
  if (descriptor.size > limit)
    return Fail(ErrorCode::kResourceExhausted, "{} has {} bytes, more than {} are not read",
                descriptor.digest, descriptor.size, limit);
  BlobSource source(*this, descriptor);
  for (;;) {
    ASSIGN_OR_RETURN(const auto stream, source.Open(caller.deadline, caller.cancelled));
    std::string content(descriptor.size, '\0');
    size_t done = 0;
    Status status;
    for (;;) {
      char beyond = 0;
      char* target = done < content.size() ? content.data() + done : &beyond;
      const auto count = stream->Read(target, std::max<size_t>(content.size() - done, 1));
      if (!count) {
        status = tl::unexpected(count.error());
        break;
      }
      if (*count == 0) break;
      done += *count;
    }
    if (status) status = VerifyDigest(content, descriptor.digest, "a blob of " + registry_);
    if (status) return content;
    if (status.error().code != ErrorCode::kDataLoss || !source.Distrust())
      return tl::unexpected(std::move(status).error());
  }
}

std::shared_ptr<LayerSource> RegistryClient::Layer(const Descriptor& descriptor) {
  return std::make_shared<BlobSource>(*this, descriptor);
}

}  // namespace catamaran
