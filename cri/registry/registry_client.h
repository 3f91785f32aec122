#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cri/images/incoming_image.h"
#include "cri/images/manifest.h"
#include "cri/registry/authenticator.h"
#include "cri/registry/credentials.h"
#include "cri/registry/host_rotation.h"
#include "cri/registry/hosts.h"
#include "cri/registry/http.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

struct RegistryPatience {
  HttpPatience http;
  RetryPatience retry;
};

// Reads one repository for one pull, from whichever of its hosts answers (distribution-spec, pull).
// Answers are checked against digests and sizes before anybody sees them. Thread-safe.
class RegistryClient {
 public:
  struct Host {
    RegistryHost host;
    Credentials credentials;
  };
  // What every blocking call needs of its caller.
  struct Caller {
    Deadline deadline = Deadline::Never();
    std::function<bool()> cancelled = {};
  };

  // `registry` and `repository` as in the image's name: "docker.io", "library/busybox".
  RegistryClient(std::vector<Host> hosts, std::string registry, std::string repository,
                 const RegistryPatience& patience)
      : hosts_(std::move(hosts)),
        registry_(std::move(registry)),
        repository_(std::move(repository)),
        patience_(patience),
        slow_(hosts_.size(), false) {}

  struct FetchedManifest {
    std::string text;
    std::string digest;
  };
  // By tag or digest.
  Result<FetchedManifest> FetchManifest(const std::string& reference, const Caller& caller);
  // The same of a tag whose content proves itself (signatures): from mirrors too that are not
  // trusted to say what a name means.
  Result<FetchedManifest> FetchManifestFromAny(const std::string& tag, const Caller& caller);
  // The index of what refers to a manifest, by the registry's API (distribution-spec 1.1, "Listing
  // Referrers"), or under `tag` where it has none.
  Result<FetchedManifest> FetchReferrers(const std::string& digest, const std::string& tag,
                                         const Caller& caller);
  // The whole content that a descriptor of a manifest or config means; at most `limit` bytes.
  Result<std::string> FetchContent(const Descriptor& descriptor, size_t limit,
                                   const Caller& caller);
  // From now on told of the bytes of layers that arrive, from any thread; may be empty.
  void WatchLayers(std::function<void(size_t)> received) { received_ = std::move(received); }
  // A layer. It must not outlive this client.
  std::shared_ptr<LayerSource> Layer(const Descriptor& descriptor);

  const std::string& registry() const { return registry_; }

 private:
  friend class BlobStream;
  friend class BlobSource;
  enum class Need { kResolve, kPull };
  struct Wanted {
    std::string what;  // for errors: "manifest latest"
    std::string path;  // below the repository: "/manifests/latest"
    std::vector<HttpRequest::Header> headers;
  };

  // A session for the caller's thread, given back when the pointer goes.
  std::shared_ptr<HttpSession> BorrowSession();
  // Hosts that can do this, those that were out of reach in this pull behind the others.
  std::vector<size_t> HostsFor(Need need);
  void NoteReach(size_t host, bool reached);
  // Asks host after host, as `rotation` says, until `accept` takes what one answered (200, 206).
  // Returns which one that was.
  using Accept = std::function<Status(std::unique_ptr<HttpResponse>)>;
  Result<size_t> AskInTurn(HostRotation& rotation, const Wanted& wanted, HttpSession& session,
                           const Caller& caller, const Accept& accept);
  // One request to one host, with its authentication and redirects; any status.
  Result<std::unique_ptr<HttpResponse>> Ask(size_t host, const Wanted& wanted, HttpSession& session,
                                            const Caller& caller);
  Result<std::unique_ptr<HttpResponse>> FollowRedirects(HttpRequest request, const TlsOptions& tls,
                                                        HttpSession& session, bool& elsewhere);
  Result<FetchedManifest> FetchManifest(const std::string& reference, Need need,
                                        const Caller& caller);
  Result<FetchedManifest> ReadManifest(HttpResponse& response, const std::string& reference);

  const std::vector<Host> hosts_;
  const std::string registry_;
  const std::string repository_;
  const RegistryPatience patience_;
  Authenticator authenticator_;
  std::mutex mutex_;  // guards what follows
  std::vector<bool> slow_;
  std::vector<std::unique_ptr<HttpSession>> idle_;
  std::function<void(size_t)> received_;  // not guarded: set before the first layer is read
};

// The error that an answer other than 2xx means; reads what is left of it. Codes: kUnavailable
// where asking again may help, kNotFound, kPermissionDenied, kUnknown.
Error ErrorOfAnswer(HttpResponse& response, const std::string& what);

}  // namespace catamaran
