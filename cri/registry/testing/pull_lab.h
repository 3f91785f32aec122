#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cri/images/testing/image_builder.h"
#include "cri/registry/image_puller.h"
#include "cri/registry/testing/local_registry.h"
#include "cri/registry/testing/test_server.h"

namespace catamaran {

// A store, a puller that is impatient, and folders to put registries and hosts.toml files into.
class PullLab : public testing::Test {
 protected:
  PullLab();

  std::unique_ptr<LocalRegistry> StartRegistry(const std::string& name = "registry",
                                               const std::string& http = "",
                                               const std::string& auth = "",
                                               const std::string& more = "");
  // An image of these layers (plain tars) in the registry; returns its manifest's digest.
  std::string AddImage(const LocalRegistry& registry, const std::string& repository,
                       const std::string& tag, const TestImage& image);
  // A layer with a file of `size` bytes that do not compress, other ones for each seed.
  static std::string Layer(const std::string& file, size_t size, uint32_t seed = 1);
  // The digest of the compressed bytes of such a layer, as a registry knows it.
  static std::string BlobDigest(const std::string& layer);

  Result<Image> Pull(const std::string& reference,
                     const std::optional<AuthFields>& auth = std::nullopt,
                     const ImageStore::LoadOptions& options = {});
  // Hosts of a registry, as hosts_dir/<registry>/hosts.toml says.
  void WriteHosts(const std::string& registry, const std::string& toml);
  // Makes the puller anew, e.g. after docker_config_ changed.
  void MakePuller();
  // Fails the test where the image's blobs are not what loading the same layers gives.
  void ExpectWhole(const Image& image, const TestImage& expected);
  // Nothing is half there: no temporary file, no blob that no image needs.
  void ExpectNothingLeft();
  std::filesystem::path BlobFile(const std::string& layer) const;

  ScratchFolder scratch_{"pull"};
  std::unique_ptr<ImageStore> store_;
  ImagePuller::Options options_;
  std::unique_ptr<ImagePuller> puller_;
};

}  // namespace catamaran
