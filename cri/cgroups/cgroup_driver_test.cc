#include "cri/cgroups/cgroup_driver.h"

#include <gtest/gtest.h>

#include "cri/cgroups/slice_name.h"

namespace catamaran {
namespace {

constexpr char kField[] = "config.linux.cgroup_parent";

std::string PathWith(CgroupDriver driver, const std::string& parent) {
  auto path = PodCgroupPath(driver, kField, parent, PodId("4f1e"));
  return path ? *path : path.error().message;
}

TEST(SliceName, StandsForAPath) {
  EXPECT_EQ(PathOfSlice("-.slice"), "/");
  EXPECT_EQ(PathOfSlice("test.slice"), "/test.slice");
  EXPECT_EQ(PathOfSlice("kubepods-burstable-pod1_2.slice"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice");
}

TEST(PodGroup, IsBelowTheParentWithCgroupfs) {
  EXPECT_EQ(PathWith(CgroupDriver::kCgroupfs, "/kubepods/burstable/pod1"),
            "/kubepods/burstable/pod1/4f1e");
  EXPECT_EQ(PathWith(CgroupDriver::kCgroupfs, "/test.slice"), "/test.slice/4f1e");
  EXPECT_EQ(PathWith(CgroupDriver::kCgroupfs, "/"), "/4f1e");
}

TEST(PodGroup, IsInAScopeOfTheParentsSliceWithSystemd) {
  struct Row {
    std::string parent, group;
  };
  const std::string burstable = "/kubepods.slice/kubepods-burstable.slice";
  const Row rows[] = {
      {burstable + "/kubepods-burstable-pod1_2.slice",
       burstable + "/kubepods-burstable-pod1_2.slice/catamaran-4f1e.scope/pod"},
      {"kubepods-burstable.slice", burstable + "/catamaran-4f1e.scope/pod"},
      {"/kubepods-burstable.slice", burstable + "/catamaran-4f1e.scope/pod"},
      {"/test.slice", "/test.slice/catamaran-4f1e.scope/pod"},
      {"-.slice", "/catamaran-4f1e.scope/pod"},
  };
  for (const Row& row : rows) EXPECT_EQ(PathWith(CgroupDriver::kSystemd, row.parent), row.group);
}

TEST(PodGroup, OfWhatIsNoSliceIsRefusedWithSystemd) {
  for (const char* parent :
       {"", "/", "/kubepods/burstable/pod1", "/a.slice/b", "a.service", ".slice", "-a.slice",
        "a-.slice", "a--b.slice", "a b.slice", "/a.slice/", "a\n.slice"}) {
    const auto path = PodCgroupPath(CgroupDriver::kSystemd, kField, parent, PodId("4f1e"));
    ASSERT_FALSE(path) << parent;
    EXPECT_EQ(path.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(path.error().message.find("config.linux.cgroup_parent: '" + std::string(parent) +
                                        "' is wrong: with cgroup_driver systemd"),
              std::string::npos)
        << path.error().message;
  }
  EXPECT_FALSE(PodCgroupPath(CgroupDriver::kSystemd, kField, std::string(250, 'a') + ".slice",
                             PodId("4f1e")));
}

TEST(PodGroup, OfASliceThatIsElsewhereIsRefusedNamingItsPlace) {
  for (const char* parent :
       {"/x/kubepods-burstable.slice", "/kubepods-burstable.slice/a.slice", "x.slice/x-y.slice"})
    EXPECT_NE(PathWith(CgroupDriver::kSystemd, parent).find("is wrong: systemd has"),
              std::string::npos)
        << parent;
}

TEST(PodGroup, OfAMachineThatWaitsIsAnotherUnitThanItsPods) {
  const PodId pod("4f1e");
  EXPECT_EQ(WaitingCgroupPath(CgroupDriver::kCgroupfs, "/catamaran", pod), "/catamaran/4f1e");
  EXPECT_EQ(WaitingCgroupPath(CgroupDriver::kSystemd, "/catamaran.slice", pod),
            "/catamaran.slice/catamaran-waiting-4f1e.scope/pod");
}

TEST(Scope, IsFoundInThePathOfAGroup) {
  for (const char* group : {"/pod", "/pod/shim", "/pod/0f/x", ""}) {
    const auto place = ScopeOf("/a.slice/a-b.slice/catamaran-4f1e.scope" + std::string(group));
    ASSERT_TRUE(place) << group;
    EXPECT_EQ(place->slice, "a-b.slice");
    EXPECT_EQ(place->scope, "catamaran-4f1e.scope");
    EXPECT_EQ(place->path, "/a.slice/a-b.slice/catamaran-4f1e.scope");
  }
  EXPECT_EQ(PodOfScope("catamaran-4f1e.scope"), "4f1e");
  EXPECT_EQ(PodOfScope("catamaran-waiting-4f1e.scope"), "4f1e");
  EXPECT_EQ(ScopeOf("/catamaran-1.scope/pod")->slice, "-.slice");
}

TEST(Scope, IsNoneOfAPodMadeWithCgroupfs) {
  for (const char* path : {"/catamaran/4f1e", "/kubepods/burstable/pod1/4f1e", "/", "",
                           "/user.slice/session-1.scope/x"})
    EXPECT_FALSE(ScopeOf(path)) << path;
}

}  // namespace
}  // namespace catamaran
