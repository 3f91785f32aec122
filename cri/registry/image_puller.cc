#include "cri/registry/image_puller.h"

#include <atomic>
#include <system_error>
#include <thread>

#include "cri/images/artifact.h"
#include "cri/images/incoming_image.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"
#include "cri/registry/docker_config.h"
#include "cri/registry/signature_check.h"
#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"

namespace catamaran {
namespace {

constexpr int kMaximumIndexDepth = 4;
// How soon a waiting call notices that its caller went away, and tells it of progress.
constexpr std::chrono::milliseconds kPoll{100};

using Caller = RegistryClient::Caller;

// The manifest for this machine, below `text` (an index or a manifest already). `digests`: the one
// of `text`; those of what was found below it are added.
Result<Manifest> ResolvePlatform(RegistryClient& client, std::string text,
                                 std::vector<std::string>& digests, const Caller& caller) {
  for (int depth = 0; depth <= kMaximumIndexDepth; ++depth) {
    const std::string digest = digests.back();
    ASSIGN_OR_RETURN(auto parsed, ParseManifest(text, "manifest " + digest));
    if (parsed.manifest) return std::move(*parsed.manifest);
    const Descriptor* chosen = nullptr;
    std::string offered;
    for (const Descriptor& entry : parsed.index) {
      if (entry.IsAttestation()) continue;
      if (entry.platform) offered += " " + entry.platform->ToString();
      if (chosen == nullptr && (!entry.platform || PlatformFits(*entry.platform, HostPlatform())))
        chosen = &entry;
    }
    if (chosen == nullptr)
      return Fail(ErrorCode::kNotFound, "index {} has no image for {}{}{}", digest,
                  HostPlatform().ToString(), offered.empty() ? "" : ", only for",
                  offered.substr(0, 500));
    ASSIGN_OR_RETURN(auto fetched, client.FetchManifest(chosen->digest, caller));
    if (fetched.text.size() != chosen->size)
      return Fail(ErrorCode::kDataLoss, "manifest {} has {} bytes, its index says {}",
                  chosen->digest, fetched.text.size(), chosen->size);
    digests.push_back(chosen->digest);
    text = std::move(fetched.text);
  }
  return Fail(ErrorCode::kInvalidArgument, "{}: indexes are nested too deeply", digests.front());
}

// The image of a manifest, or the artifact, without names.
Result<IncomingImage> DescribeContent(RegistryClient& client, const Manifest& manifest,
                                      const Caller& caller) {
  if (IsArtifact(manifest))
    return DescribeArtifact(
        manifest, [&client](const Descriptor& layer) -> Result<std::shared_ptr<LayerSource>> {
          return client.Layer(layer);
        });
  ASSIGN_OR_RETURN(auto config, client.FetchContent(manifest.config, kMaximumConfigBytes, caller));
  ASSIGN_OR_RETURN(IncomingImage image,
                   DescribeIncomingImage(std::move(config), manifest.layers.size()));
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& layer = manifest.layers[i];
    image.layers.push_back({.diff_id = image.config.diff_ids[i],
                            .digest = layer.digest,
                            .size_bytes = layer.size,
                            .source = client.Layer(layer)});
  }
  return image;
}

Result<IncomingImage> Describe(RegistryClient& client, const ImageReference& reference,
                               const SignaturePolicy* policy, const Caller& caller) {
  ASSIGN_OR_RETURN(
      auto top,
      client.FetchManifest(reference.digest.empty() ? reference.tag : reference.digest, caller));
  std::vector<std::string> digests = {top.digest};
  ASSIGN_OR_RETURN(const Manifest manifest,
                   ResolvePlatform(client, std::move(top.text), digests, caller));
  std::vector<VerifiedSignature> signatures;
  if (policy != nullptr) {
    ASSIGN_OR_RETURN(signatures, CheckSignatures(client, *policy, reference, digests, caller));
  }
  ASSIGN_OR_RETURN(IncomingImage image, DescribeContent(client, manifest, caller));
  image.signatures = std::move(signatures);
  if (reference.digest.empty()) image.repo_tags.push_back(reference.ToString());
  image.repo_digests.push_back(reference.repository + "@" + top.digest);
  return image;
}

Result<IncomingImage> DescribeTraced(RegistryClient& client, const ImageReference& reference,
                                     const SignaturePolicy* policy, const Caller& caller) {
  StepSpan step("manifest");
  return step.Outcome(Describe(client, reference, policy, caller));
}

}  // namespace

// One pull and those who wait for it. Guarded by the puller's mutex, but for `cancelled`.
struct ImagePuller::Flight {
  std::string key;
  Source source;
  int waiters = 0;
  std::atomic<bool> cancelled{false};
  std::map<std::string, ImageStore::Progress> progress;  // the newest of each layer
  std::optional<Result<Image>> result;
};

ImagePuller::~ImagePuller() {
  std::unique_lock lock(mutex_);
  for (auto& [key, flight] : flights_) flight->cancelled = true;
  landed_.wait(lock, [this] { return flying_ == 0; });
}

void ImagePuller::LookIn(const HostPath& hosts_dir, const HostPath& docker_config) {
  const std::lock_guard lock(mutex_);
  options_.hosts_dir = hosts_dir;
  options_.docker_config = docker_config;
}

Result<Credentials> ImagePuller::CredentialsOf(const RegistryHost& host,
                                               const std::string& registry,
                                               const HostPath& docker_config,
                                               const std::optional<AuthFields>& auth,
                                               Deadline deadline) const {
  // A mirror is somebody else: it gets what a pull brings only where that names it.
  const std::string name = host.is_mirror ? host.base.Authority() : registry;
  if (auth && (!host.is_mirror || !auth->server_address.empty())) {
    ASSIGN_OR_RETURN(auto credentials, CredentialsFor(*auth, name));
    if (!credentials.empty() || !host.is_mirror) return credentials;
  }
  if (docker_config.empty() || !Exists(docker_config.value())) return Credentials();
  ASSIGN_OR_RETURN(auto credentials, CredentialsFromDockerConfig(docker_config, name,
                                                                 options_.helper_path, deadline));
  return credentials ? std::move(*credentials) : Credentials();
}

Result<ImagePuller::Source> ImagePuller::Locate(const std::string& reference,
                                                const std::optional<AuthFields>& auth,
                                                Deadline deadline) const {
  Source source;
  ASSIGN_OR_RETURN(source.reference, ParseImageReference(reference));
  if (options_.policy != nullptr)
    RETURN_IF_ERROR(options_.policy->CheckNotRejected(source.reference));
  source.registry = source.reference.repository.substr(0, source.reference.repository.find('/'));
  HostPath hosts_dir, docker_config;
  {
    const std::lock_guard lock(mutex_);
    hosts_dir = options_.hosts_dir;
    docker_config = options_.docker_config;
  }
  ASSIGN_OR_RETURN(auto hosts, HostsOf(source.registry, hosts_dir));
  for (RegistryHost& host : hosts) {
    ASSIGN_OR_RETURN(auto credentials,
                     CredentialsOf(host, source.registry, docker_config, auth, deadline));
    source.hosts.push_back({std::move(host), std::move(credentials)});
  }
  return source;
}

Result<std::shared_ptr<ImagePuller::Flight>> ImagePuller::Join(Source source) {
  std::string key = source.reference.ToString();
  for (const auto& host : source.hosts) key += " " + host.credentials.Fingerprint();
  const std::lock_guard lock(mutex_);
  if (const auto known = flights_.find(key); known != flights_.end()) {
    ++known->second->waiters;
    // What it takes is in the trace of who began it.
    Span::Current().Note("pull.joined", "true");
    return known->second;
  }
  auto flight = std::make_shared<Flight>();
  flight->key = key;
  flight->source = std::move(source);
  flight->waiters = 1;
  try {
    std::thread([this, flight, span = Span::Current()] {
      const SpanScope scope(span);
      Fly(flight);
    }).detach();
  } catch (const std::system_error& error) {
    return Fail(ErrorCode::kResourceExhausted, "start a thread: {}", error.what());
  }
  ++flying_;  // it ends under the lock
  flights_.emplace(std::move(key), flight);
  return flight;
}

void ImagePuller::Fly(const std::shared_ptr<Flight>& flight) {
  const Source& source = flight->source;
  const std::string& repository = source.reference.repository;
  ImageStore::LoadOptions options;
  options.cancelled = [&] { return flight->cancelled.load(); };
  options.progress = [&](const ImageStore::Progress& progress) {
    const std::lock_guard lock(mutex_);
    flight->progress[progress.layer] = progress;
  };
  Result<Image> result = [&]() -> Result<Image> {
    RegistryClient client(source.hosts, source.registry,
                          repository.substr(source.registry.size() + 1), options_.patience);
    client.WatchLayers(options_.received);
    ASSIGN_OR_RETURN(const auto image,
                     DescribeTraced(client, source.reference, options_.policy.get(),
                                    {options.deadline, options.cancelled}));
    StepSpan step("layers");
    return step.Outcome(store_.Add(image, options));
  }();
  const std::lock_guard lock(mutex_);
  flight->result = std::move(result);
  if (const auto own = flights_.find(flight->key); own != flights_.end() && own->second == flight)
    flights_.erase(own);
  --flying_;
  landed_.notify_all();
}

Result<Image> ImagePuller::Wait(Flight& flight, const ImageStore::LoadOptions& options) {
  std::map<std::string, ImageStore::Progress> told;
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool done = flight.result.has_value();
    std::vector<ImageStore::Progress> news;
    for (const auto& [layer, progress] : flight.progress) {
      auto& known = told[layer];
      if (known.done_bytes == progress.done_bytes && known.finished == progress.finished) continue;
      known = progress;
      news.push_back(progress);
    }
    if (options.progress && !news.empty()) {
      lock.unlock();
      for (const auto& progress : news) options.progress(progress);
      lock.lock();
    }
    if (done) return *flight.result;
    if (options.deadline.expired() || (options.cancelled && options.cancelled()))
      return Fail(ErrorCode::kDeadlineExceeded, "the caller's time is over");
    landed_.wait_for(lock, std::min(options.deadline.Remaining(), kPoll));
  }
}

Result<Image> ImagePuller::Pull(const std::string& reference, const std::optional<AuthFields>& auth,
                                const ImageStore::LoadOptions& options) {
  ASSIGN_OR_RETURN(Source source, Locate(reference, auth, options.deadline));
  const std::string name = source.reference.ToString();
  ASSIGN_OR_RETURN(const auto flight, Join(std::move(source)));
  auto result = Wait(*flight, options);
  {
    const std::lock_guard lock(mutex_);
    if (--flight->waiters == 0 && !flight->result) {
      flight->cancelled = true;
      if (const auto own = flights_.find(flight->key);
          own != flights_.end() && own->second == flight)
        flights_.erase(own);
    }
  }
  if (!result) return tl::unexpected(std::move(result).error().While("pull " + name));
  return result;
}

}  // namespace catamaran
