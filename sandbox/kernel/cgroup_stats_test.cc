#include <fcntl.h>
#include <gtest/gtest.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/cgroup_files.h"

// What is read of a group's files, from trees of plain files as either version has them.
namespace catamaran {
namespace {

class CgroupStats : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) /
            ("cgroup_stats_" + std::to_string(getpid()) + "_" +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    ASSERT_TRUE(RemoveTree(root_));
    ASSERT_TRUE(MakeDirectories(root_));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(root_)); }

  void File(const std::string& path, const std::string& content = "") {
    ASSERT_TRUE(MakeDirectories((root_ / path).parent_path()));
    ASSERT_TRUE(ReplaceFile(root_ / path, content, 0600, Durability::kProcessCrash));
  }
  void Unified(const std::string& folder, const std::string& controllers) {
    File(folder + "/cgroup.controllers", controllers + "\n");
    File(folder + "/cgroup.procs");
  }
  void V1(const std::string& controller) {
    File(controller + "/cgroup.procs");
    File(controller + "/one/cgroup.procs");
  }
  spec::GroupStats Read() {
    auto tree = CgroupTree::OpenAt(OpenFile(root_, O_RDONLY | O_DIRECTORY).value());
    auto group = tree.value()->OpenGroup("/one");
    auto stats = group.value().Stats();
    EXPECT_TRUE(stats);
    group->AddDetails(*stats);
    return *stats;
  }

  std::filesystem::path root_;
};

constexpr char kPressure[] =
    "some avg10=1.50 avg60=0.25 avg300=0.05 total=123456\n"
    "full avg10=0.50 avg60=0.00 avg300=0.00 total=789\n";

TEST_F(CgroupStats, OfV2) {
  Unified(".", "memory io hugetlb");
  Unified("one", "memory io hugetlb");
  File("one/memory.current", "1000\n");
  File("one/memory.stat", "anon 400\nfile 600\nkernel 77\nkernel_stack 1\nfile_mapped 55\n");
  File("one/memory.events", "low 0\nhigh 4\nmax 3\noom 2\noom_kill 1\n");
  File("one/memory.low", "300\n");
  File("one/memory.swap.max", "2048\n");
  File("one/cpu.pressure", kPressure);
  File("one/memory.pressure", kPressure);
  File("one/io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
  File("one/io.stat",
       "999:7 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
       "999:8 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n");
  File("one/hugetlb.2MB.current", "4194304\n");
  File("one/hugetlb.2MB.rsvd.current", "1\n");
  File("one/hugetlb.1GB.current", "0\n");
  const auto stats = Read();
  EXPECT_EQ(stats.memory().kernel_bytes(), 77u);
  EXPECT_EQ(stats.memory().mapped_file_bytes(), 55u);
  EXPECT_EQ(stats.memory().limit_hits(), 3u);
  EXPECT_EQ(stats.memory().high_events(), 4u);
  EXPECT_EQ(stats.memory().reservation_bytes(), 300u);
  EXPECT_EQ(stats.memory().swap_limit_bytes(), 2048u);
  EXPECT_EQ(stats.cpu().pressure().some().total_us(), 123456u);
  EXPECT_EQ(stats.cpu().pressure().some().average_10s(), 1.5);
  EXPECT_EQ(stats.cpu().pressure().some().average_60s(), 0.25);
  EXPECT_EQ(stats.cpu().pressure().some().average_300s(), 0.05);
  EXPECT_EQ(stats.memory().pressure().full().total_us(), 789u);
  EXPECT_EQ(stats.io_pressure().some().total_us(), 5u);
  EXPECT_FALSE(stats.io_pressure().has_full());
  ASSERT_EQ(stats.io().devices_size(), 2);
  EXPECT_EQ(stats.io().devices(0).name(), "999:7");  // no such device on this machine
  EXPECT_EQ(stats.io().devices(0).read_bytes(), 4096u);
  EXPECT_EQ(stats.io().devices(0).written_bytes(), 8192u);
  EXPECT_EQ(stats.io().devices(0).reads(), 1u);
  EXPECT_EQ(stats.io().devices(0).writes(), 2u);
  ASSERT_EQ(stats.hugepages_size(), 2);
  EXPECT_EQ(stats.hugepages(1).page_size(), "2MB");
  EXPECT_EQ(stats.hugepages(1).usage_bytes(), 4194304u);
  EXPECT_FALSE(stats.hugepages(1).has_max_usage_bytes());
}

TEST_F(CgroupStats, OfV1) {
  for (const char* controller : {"memory", "blkio", "hugetlb"}) V1(controller);
  File("memory/one/memory.usage_in_bytes", "1000\n");
  File("memory/one/memory.limit_in_bytes", "4096\n");
  File("memory/one/memory.memsw.limit_in_bytes", "6144\n");
  File("memory/one/memory.failcnt", "5\n");
  File("memory/one/memory.memsw.failcnt", "4\n");
  File("memory/one/memory.kmem.usage_in_bytes", "70\n");
  File("memory/one/memory.soft_limit_in_bytes", "9223372036854771712\n");
  File("memory/one/memory.stat", "mapped_file 1\ntotal_mapped_file 55\n");
  File("blkio/one/blkio.throttle.io_service_bytes_recursive",
       "999:7 Read 4096\n999:7 Write 8192\n999:7 Sync 1\n999:7 Total 12288\nTotal 12288\n");
  File("blkio/one/blkio.throttle.io_serviced_recursive", "999:7 Read 1\n999:7 Write 2\n");
  File("hugetlb/one/hugetlb.2MB.usage_in_bytes", "2097152\n");
  File("hugetlb/one/hugetlb.2MB.max_usage_in_bytes", "4194304\n");
  const auto stats = Read();
  EXPECT_EQ(stats.memory().kernel_bytes(), 70u);
  EXPECT_EQ(stats.memory().mapped_file_bytes(), 55u);
  EXPECT_EQ(stats.memory().limit_hits(), 9u);
  EXPECT_EQ(stats.memory().reservation_bytes(), 0u);
  EXPECT_EQ(stats.memory().swap_limit_bytes(), 2048u);
  EXPECT_FALSE(stats.cpu().has_pressure());
  EXPECT_FALSE(stats.has_io_pressure());
  ASSERT_EQ(stats.io().devices_size(), 1);
  EXPECT_EQ(stats.io().devices(0).read_bytes(), 4096u);
  EXPECT_EQ(stats.io().devices(0).written_bytes(), 8192u);
  EXPECT_EQ(stats.io().devices(0).reads(), 1u);
  EXPECT_EQ(stats.io().devices(0).writes(), 2u);
  ASSERT_EQ(stats.hugepages_size(), 1);
  EXPECT_EQ(stats.hugepages(0).usage_bytes(), 2097152u);
  EXPECT_EQ(stats.hugepages(0).max_usage_bytes(), 4194304u);
}

TEST_F(CgroupStats, PressureIsOnCgroupV2WhereverTheControllersAre) {
  V1("memory");
  Unified("unified", "hugetlb");
  Unified("unified/one", "hugetlb");
  File("unified/one/memory.pressure", kPressure);
  const auto stats = Read();
  EXPECT_EQ(stats.memory().pressure().some().total_us(), 123456u);
  EXPECT_FALSE(stats.cpu().has_pressure());
}

TEST_F(CgroupStats, MemoryWithoutALimitOfSwapHasNone) {
  Unified(".", "memory");
  Unified("one", "memory");
  File("one/memory.swap.max", "max\n");
  File("one/memory.stat", "kernel_stack 10\npagetables 20\npercpu 30\nslab 40\nslab_x 9\n");
  const auto stats = Read();
  EXPECT_FALSE(stats.memory().has_swap_limit_bytes());
  EXPECT_EQ(stats.memory().kernel_bytes(), 100u);  // as it is summed up before Linux 5.18
}

TEST(CgroupTexts, PressureThatIsNone) {
  for (const char* text :
       {"", "\n", "full avg10=0.00 total=1", "some total=x", "some avg10", "any"})
    EXPECT_FALSE(ParsePressure(text)) << text;
}

TEST(CgroupTexts, OfNoMoreThan64Devices) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += fmt::format("7:{} rbytes=1\n", i);
  text += "not a device rbytes=1\n7:1 rbytes=";
  spec::IoStats io;
  ParseIoStat(text, io);
  EXPECT_EQ(io.devices_size(), 64);
}

}  // namespace
}  // namespace catamaran
