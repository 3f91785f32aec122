// What a huge manifest does where bodies have no bounds.
#include "cri/registry/hostile/registry_attacks.h"

namespace catamaran {
namespace {

class UnboundedBodiesTest : public RegistryAttacks {};

TEST_F(UnboundedBodiesTest, FillTheMemory) { EXPECT_GT(GrowthByManifestOf(200 << 20), 150u << 20); }

}  // namespace
}  // namespace catamaran
