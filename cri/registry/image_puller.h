#pragma once

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cri/images/image_store.h"
#include "cri/images/reference.h"
#include "cri/registry/credentials.h"
#include "cri/registry/registry_client.h"
#include "cri/signatures/signature_policy.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Pulls images into a store. Calls for the same image with the same credentials are one pull; it
// goes on while anybody waits for it. Thread-safe; outlived by the store.
class ImagePuller {
 public:
  struct Options {
    HostPath hosts_dir;            // see HostsOf; may be empty
    HostPath docker_config;        // credentials of pulls that bring none; may be empty
    std::string helper_path = {};  // where its helpers are; empty: PATH
    std::shared_ptr<const SignaturePolicy> policy = {};  // null: every image is accepted
    RegistryPatience patience;
    // Told how many bytes of layers have arrived, from any thread; may be empty.
    std::function<void(size_t)> received = {};
  };

  ImagePuller(ImageStore& store, Options options) : store_(store), options_(std::move(options)) {}
  // Cancels what is in flight and waits for it to end.
  ~ImagePuller();

  // Pulls that begin from now on look there.
  void LookIn(const HostPath& hosts_dir, const HostPath& docker_config);

  // Pulls `reference` (a name, tag or digest; short names are Docker Hub's). Of `options` the
  // deadline, cancelled and progress count. Errors: kInvalidArgument (the reference, a hosts.toml,
  // a malformed image), kNotFound, kPermissionDenied, kUnavailable (no host answers),
  // kFailedPrecondition (TLS), kDataLoss (no host gives the right bytes), kDeadlineExceeded (also
  // cancelled), kResourceExhausted (the disk is full, or the image is beyond its limits),
  // Forbidden (the signature policy).
  Result<Image> Pull(const std::string& reference, const std::optional<AuthFields>& auth,
                     const ImageStore::LoadOptions& options);

 private:
  struct Flight;
  struct Source {
    ImageReference reference;
    std::string registry;
    std::vector<RegistryClient::Host> hosts;
  };

  Result<Source> Locate(const std::string& reference, const std::optional<AuthFields>& auth,
                        Deadline deadline) const;
  Result<Credentials> CredentialsOf(const RegistryHost& host, const std::string& registry,
                                    const HostPath& docker_config,
                                    const std::optional<AuthFields>& auth, Deadline deadline) const;
  Result<std::shared_ptr<Flight>> Join(Source source);
  Result<Image> Wait(Flight& flight, const ImageStore::LoadOptions& options);
  void Fly(const std::shared_ptr<Flight>& flight);

  ImageStore& store_;
  Options options_;  // its folders and files guarded by mutex_, the rest never changes
  mutable std::mutex mutex_;
  std::condition_variable landed_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;  // that can be joined, by what they pull
  int flying_ = 0;                                          // threads
};

}  // namespace catamaran
