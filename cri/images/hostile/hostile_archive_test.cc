// The attack against the store: it fails.
#include "cri/images/hostile/archive_attacks.h"

namespace catamaran {
namespace {

using HostileArchives = ArchiveAttacks;

TEST_F(HostileArchives, AHugeManifestIsNotRead) {
  EXPECT_LT(GrowthByManifestOf(200 << 20), 20u << 20);
}

}  // namespace
}  // namespace catamaran
