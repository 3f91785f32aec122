// The attack against the daemon: no volume is made for an image.
#include "cri/hostile/hostile_image.h"

namespace catamaran {
namespace {

using HostileVolumes = HostileImage;

TEST_F(HostileVolumes, AreNothingOfTheNode) {
  for (const auto& way : WaysOut())
    for (const bool in_vm : {false, true}) EXPECT_FALSE(ShowsTheNode(way, in_vm)) << way;
}

}  // namespace
}  // namespace catamaran
