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
  // What the sanitizers keep of freed memory counts too.
  EXPECT_LT(GrowthByManifestOf(200 << 20), 100u << 20);
}

}  // namespace
}  // namespace catamaran
