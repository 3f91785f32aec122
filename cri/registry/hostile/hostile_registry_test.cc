// Attacks of a registry, against all defences.
#include "cri/registry/hostile/registry_attacks.h"

namespace catamaran {
namespace {

class HostileRegistryTest : public RegistryAttacks {};

TEST_F(HostileRegistryTest, GetsNoCredentialForTheHostItRedirectsTo) {
  EXPECT_EQ(CredentialAfterRedirect(), "");
}

TEST_F(HostileRegistryTest, AForeignLayersHostIsNeverAsked) {
  EXPECT_EQ(RequestsToForeignLayer(), (std::pair<size_t, std::string>{0, ""}));
}

TEST_F(HostileRegistryTest, AHugeManifestIsNotRead) {
#ifdef __SANITIZE_ADDRESS__
  constexpr uint64_t kMost = 100 << 20;  // the sanitizer keeps freed memory for a while
#else
  constexpr uint64_t kMost = 50 << 20;
#endif
  EXPECT_LT(GrowthByManifestOf(200 << 20), kMost);
}

}  // namespace
}  // namespace catamaran
