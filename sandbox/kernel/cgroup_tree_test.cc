#include <fcntl.h>
#include <gtest/gtest.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"

// Trees of plain files in the place of cgroup file systems.
namespace catamaran {
namespace {

class CgroupTreeTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) /
            ("cgroup_tree_" + std::to_string(getpid()) + "_" +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    ASSERT_TRUE(RemoveTree(root_));
    ASSERT_TRUE(MakeDirectories(root_));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(root_)); }

  void File(const std::string& path, const std::string& content = "") {
    ASSERT_TRUE(MakeDirectories((root_ / path).parent_path()));
    ASSERT_TRUE(ReplaceFile(root_ / path, content, 0600, Durability::kProcessCrash));
  }
  std::string Content(const std::string& path) { return ReadFile(root_ / path).value_or("absent"); }
  void Legacy(const std::string& mount) { File(mount + "/cgroup.procs"); }
  void UnifiedFiles(const std::string& folder, const std::string& controllers) {
    File(folder + "/cgroup.controllers", controllers + "\n");
    File(folder + "/cgroup.subtree_control", "\n");
    File(folder + "/cgroup.procs");
  }
  Result<std::shared_ptr<const CgroupTree>> Open() {
    return CgroupTree::OpenAt(OpenFile(root_, O_RDONLY | O_DIRECTORY).value());
  }

  std::filesystem::path root_;
};

TEST_F(CgroupTreeTest, KnowsTheUnifiedLayout) {
  UnifiedFiles(".", "cpuset cpu io memory hugetlb pids rdma");
  const auto tree = Open().value();
  EXPECT_EQ(tree->kind(), CgroupTree::Kind::kUnified);
  EXPECT_TRUE(tree->WithController("memory")->v2);
  EXPECT_EQ(tree->WithController("devices"), nullptr);
}

TEST_F(CgroupTreeTest, KnowsTheLegacyLayoutWithMountsOfTwoControllers) {
  Legacy("cpu,cpuacct");
  Legacy("memory");
  Legacy("systemd");
  ASSERT_EQ(symlink("cpu,cpuacct", (root_ / "cpu").c_str()), 0);
  const auto tree = Open().value();
  EXPECT_EQ(tree->kind(), CgroupTree::Kind::kLegacy);
  EXPECT_EQ(tree->hierarchies().size(), 3u);
  EXPECT_EQ(tree->WithController("cpuacct"), tree->WithController("cpu"));
  EXPECT_EQ(tree->Unified(), nullptr);
}

TEST_F(CgroupTreeTest, KnowsTheHybridLayoutWithOneControllerOnV2) {
  Legacy("memory");
  UnifiedFiles("unified", "hugetlb");
  const auto tree = Open().value();
  EXPECT_EQ(tree->kind(), CgroupTree::Kind::kHybrid);
  EXPECT_FALSE(tree->WithController("memory")->v2);
  EXPECT_EQ(tree->WithController("hugetlb"), tree->Unified());
}

TEST_F(CgroupTreeTest, SaysWhenThereIsNone) {
  EXPECT_EQ(Open().error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(MakeDirectories(root_ / "other"));
  EXPECT_EQ(Open().error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(CgroupTreeTest, RefusesPathsThatLeaveTheTree) {
  Legacy("memory");
  const auto tree = Open().value();
  for (const std::string path :
       {"", "/", "relative", "/a//b", "/a/", "/a/../b", "/..", "/./a", "/a b", "/a\nb", "/a\x7f"})
    EXPECT_EQ(tree->Create(path).error().code, ErrorCode::kInvalidArgument) << path;
  EXPECT_EQ(tree->Create("/" + std::string(300, 'a')).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(tree->OpenGroup("/../memory").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(CgroupTreeTest, MakesTheGroupInEveryHierarchy) {
  Legacy("memory");
  Legacy("pids");
  const auto tree = Open().value();
  EXPECT_FALSE(tree->Exists("/pods/one"));
  ASSERT_TRUE(tree->Create("/pods/one"));
  EXPECT_TRUE(Exists(root_ / "memory/pods/one"));
  EXPECT_TRUE(Exists(root_ / "pids/pods/one"));
  EXPECT_TRUE(tree->Create("/pods/one")) << "again is fine";
  EXPECT_EQ(tree->OpenGroup("/pods").value().Children().value(), std::vector<std::string>{"one"});
  EXPECT_EQ(tree->OpenGroup("/pods/two").error().code, ErrorCode::kNotFound);
}

TEST_F(CgroupTreeTest, PassesControllersOnAboveTheGroupOnlyAndAllAtOnce) {
  UnifiedFiles(".", "cpu memory rdma pids");
  UnifiedFiles("pods", "memory");
  UnifiedFiles("pods/one", "memory");
  ASSERT_TRUE(Open().value()->Create("/pods/one"));
  EXPECT_EQ(Content("cgroup.subtree_control"), "+cpu +memory +pids");
  EXPECT_EQ(Content("pods/cgroup.subtree_control"), "+memory");
  EXPECT_EQ(Content("pods/one/cgroup.subtree_control"), "\n");
}

TEST_F(CgroupTreeTest, PassesNothingOnWhereItIsToldSo) {
  UnifiedFiles(".", "memory");
  ASSERT_TRUE(Open().value()->Create("/pods/one", CgroupTree::Passing::kNothing));
  EXPECT_EQ(Content("cgroup.subtree_control"), "\n");
}

TEST_F(CgroupTreeTest, LeavesControllersThatAreOnAlready) {
  UnifiedFiles(".", "memory rdma");
  File("cgroup.subtree_control", "memory\n");
  ASSERT_TRUE(Open().value()->Create("/one"));
  EXPECT_EQ(Content("cgroup.subtree_control"), "memory\n");
}

TEST_F(CgroupTreeTest, FillsAnEmptyCpusetFromTheGroupAbove) {
  for (const std::string folder : {"cpuset", "cpuset/pods", "cpuset/pods/one"}) {
    File(folder + "/cgroup.procs");
    File(folder + "/cpuset.cpus", folder == "cpuset" ? "0-3\n" : "\n");
    File(folder + "/cpuset.mems", folder == "cpuset" ? "0\n" : "\n");
  }
  File("cpuset/pods/cpuset.cpus", "1-2\n");
  ASSERT_TRUE(Open().value()->Create("/pods/one"));
  EXPECT_EQ(Content("cpuset/pods/cpuset.cpus"), "1-2\n");
  EXPECT_EQ(Content("cpuset/pods/one/cpuset.cpus"), "1-2");
  EXPECT_EQ(Content("cpuset/pods/one/cpuset.mems"), "0");
}

TEST_F(CgroupTreeTest, UndoesWhatItMadeWhenItFails) {
  Legacy("memory");
  Legacy("pids");
  File("pids/pods");  // a file in the way
  EXPECT_FALSE(Open().value()->Create("/pods/one"));
  EXPECT_FALSE(Exists(root_ / "memory/pods"));
}

TEST_F(CgroupTreeTest, AttachesInEveryHierarchy) {
  for (const std::string folder : {"memory/one", "pids/one", "memory", "pids"}) Legacy(folder);
  ASSERT_TRUE(Open().value()->OpenGroup("/one").value().Attach(4711));
  EXPECT_EQ(Content("memory/one/cgroup.procs"), "4711");
  EXPECT_EQ(Content("pids/one/cgroup.procs"), "4711");
}

TEST_F(CgroupTreeTest, ReadsStatsOfV2) {
  UnifiedFiles(".", "memory pids cpu");
  UnifiedFiles("one", "memory pids cpu");
  File(
      "one/cpu.stat",
      "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n");
  File("one/memory.current", "1000\n");
  File("one/memory.stat", "anon 400\nfile 600\ninactive_file 100\npgfault 8\npgmajfault 2\n");
  File("one/memory.max", "4096\n");
  File("one/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n");
  File("one/pids.current", "3\n");
  File("one/pids.max", "max\n");
  const auto stats = Open().value()->OpenGroup("/one").value().Stats().value();
  EXPECT_EQ(stats.cpu().usage_ns(), 5000u);
  EXPECT_EQ(stats.cpu().throttled_ns(), 9000u);
  EXPECT_EQ(stats.memory().usage_bytes(), 1000u);
  EXPECT_EQ(stats.memory().working_set_bytes(), 900u);
  EXPECT_EQ(stats.memory().rss_bytes(), 400u);
  EXPECT_EQ(stats.memory().limit_bytes(), 4096u);
  EXPECT_EQ(stats.memory().oom_kills(), 1u);
  EXPECT_EQ(stats.pids(), 3u);
  EXPECT_EQ(stats.pids_limit(), 0u);
  EXPECT_GT(stats.timestamp_ns(), 0);
}

TEST_F(CgroupTreeTest, ReadsStatsOfV1) {
  for (const std::string mount : {"cpu,cpuacct", "memory", "pids"}) {
    Legacy(mount);
    Legacy(mount + "/one");
  }
  File("cpu,cpuacct/one/cpuacct.usage", "123\n");
  File("cpu,cpuacct/one/cpu.stat", "nr_periods 7\nnr_throttled 1\nthrottled_time 9\n");
  File("memory/one/memory.usage_in_bytes", "1000\n");
  File("memory/one/memory.limit_in_bytes", "9223372036854771712\n");
  File("memory/one/memory.stat", "inactive_file 1\ntotal_rss 4\ntotal_inactive_file 1200\n");
  File("memory/one/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 6\n");
  const auto stats = Open().value()->OpenGroup("/one").value().Stats().value();
  EXPECT_EQ(stats.cpu().usage_ns(), 123u);
  EXPECT_EQ(stats.cpu().throttled_ns(), 9u);
  EXPECT_EQ(stats.memory().working_set_bytes(), 0u);
  EXPECT_EQ(stats.memory().limit_bytes(), 0u);
  EXPECT_EQ(stats.memory().rss_bytes(), 4u);
  EXPECT_EQ(stats.memory().oom_kills(), 6u);
}

}  // namespace
}  // namespace catamaran
