#include "cri/install/living_pods.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "sandbox/base/files.h"
#include "shim/client/shim_lock.h"

namespace catamaran {
namespace {

class LivingPodsTest : public ::testing::Test {
 protected:
  LivingPodsTest() {
    char pattern[] = "/tmp/living-pods-XXXXXX";
    run_ = HostPath(mkdtemp(pattern));
  }
  ~LivingPodsTest() override { EXPECT_TRUE(RemoveTree(run_.value())); }

  ShimPaths MakePod(const std::string& id) {
    const ShimPaths paths{run_ / "pods" / id};
    EXPECT_TRUE(MakeDirectories(paths.folder.value()));
    return paths;
  }
  static void Record(const ShimPaths& paths) {
    EXPECT_TRUE(
        ReplaceFile((paths.folder / "record").value(), "", 0600, Durability::kProcessCrash));
  }

  HostPath run_;
};

TEST_F(LivingPodsTest, AreThoseOfARecordWhoseShimHoldsItsLock) {
  const ShimPaths lives = MakePod("lives"), ended = MakePod("ended"), waits = MakePod("waits");
  Record(lives);
  Record(ended);
  const auto held = LockForShim(lives), in_pool = LockForShim(waits);
  ASSERT_TRUE(held && in_pool);
  EXPECT_EQ(*LivingPods(run_), std::vector<std::string>{"lives"});
}

TEST_F(LivingPodsTest, AreNoneWhereNoDaemonEverRan) { EXPECT_TRUE(LivingPods(run_)->empty()); }

}  // namespace
}  // namespace catamaran
