// What a huge manifest does where files of archives have no bounds (without_size_limit.cc).
#include "cri/images/hostile/archive_attacks.h"

namespace catamaran {
namespace {

using UnboundedFiles = ArchiveAttacks;

TEST_F(UnboundedFiles, FillTheMemory) { EXPECT_GT(GrowthByManifestOf(200 << 20), 150u << 20); }

}  // namespace
}  // namespace catamaran
