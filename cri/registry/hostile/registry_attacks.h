#pragma once

#include <string>

#include "cri/registry/testing/pull_lab.h"

namespace catamaran {

// A registry that wants basic authentication, with an image, and an attacker who owns it or what it
// points to.
class RegistryAttacks : public PullLab {
 protected:
  static constexpr char kBasicHeader[] = "Basic dGVzdGVyOmxldC1tZS1pbg==";

  RegistryAttacks();

  // CVE-2020-15157: blobs are redirected to another host. The Authorization that it saw; "" where
  // it saw none.
  std::string CredentialAfterRedirect();
  // The same host, named as the place of a foreign layer ("urls" of its descriptor), which asks for
  // authentication. How often it was asked, and what it saw.
  std::pair<size_t, std::string> RequestsToForeignLayer();
  // CVE-2023-25153: a manifest of so many bytes. By how much this process grew at its peak.
  uint64_t GrowthByManifestOf(size_t bytes);

  const TestImage image_{.layers = {Layer("a", 100'000, 1)}};
  const AuthFields auth_{"tester", "let-me-in", "", "", "", ""};
  std::unique_ptr<LocalRegistry> registry_;
};

}  // namespace catamaran
