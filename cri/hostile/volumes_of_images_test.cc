// The attack of hostile_image_test.cc against a daemon that makes the volumes which images ask for
// (volumes_by_path.cc): it succeeds.
#include "cri/hostile/hostile_image.h"

namespace catamaran {
namespace {

using VolumesOfImages = HostileImage;

TEST_F(VolumesOfImages, LeadOutOfTheImage) {
  for (const auto& way : WaysOut())
    for (const bool in_vm : {false, true}) EXPECT_TRUE(ShowsTheNode(way, in_vm)) << way;
}

}  // namespace
}  // namespace catamaran
