#include "sandbox/container/process_census.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// A folder as /proc has them.
class ProcessCensus : public testing::Test {
 protected:
  void SetUp() override {
    proc_ = std::filesystem::path(testing::TempDir()) / ("census_" + std::to_string(getpid()));
    ASSERT_TRUE(RemoveTree(proc_));
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(proc_)); }
  void Process(pid_t process, const std::vector<std::string>& descriptors) {
    const auto folder = proc_ / std::to_string(process) / "fd";
    ASSERT_TRUE(MakeDirectories(folder));
    for (size_t i = 0; i < descriptors.size(); ++i)
      std::filesystem::create_symlink(descriptors[i], folder / std::to_string(i));
  }
  std::filesystem::path proc_;
};

TEST_F(ProcessCensus, CountsDescriptorsAndSocketsOfAll) {
  Process(10, {"/dev/null", "socket:[123]", "pipe:[4]"});
  Process(11, {"socket:[5]", "/tmp/socket:[6]", "socket:"});
  DescriptorBudget budget;
  const auto stats = CountProcesses({10, 11}, budget, proc_);
  EXPECT_EQ(stats.processes(), 2u);
  EXPECT_EQ(stats.file_descriptors(), 6u);
  EXPECT_EQ(stats.sockets(), 2u);
  EXPECT_EQ(budget.left, DescriptorBudget().left - 6);
}

TEST_F(ProcessCensus, SaysNothingRatherThanTooLittle) {
  Process(10, {"/dev/null", "socket:[123]", "pipe:[4]"});
  Process(11, {"socket:[5]"});
  DescriptorBudget budget{.left = 3};
  const auto stats = CountProcesses({10, 11}, budget, proc_);
  EXPECT_EQ(stats.processes(), 2u);
  EXPECT_FALSE(stats.has_file_descriptors());
  EXPECT_FALSE(stats.has_sockets());
  EXPECT_EQ(budget.left, 0u);
}

TEST_F(ProcessCensus, AProcessThatHasEndedHasNone) {
  Process(10, {"/dev/null"});
  DescriptorBudget budget;
  const auto stats = CountProcesses({10, 99}, budget, proc_);
  EXPECT_TRUE(stats.has_file_descriptors());
  EXPECT_EQ(stats.file_descriptors(), 1u);
}

TEST(ProcessCensusOfThisProcess, SeesWhatItOpens) {
  const auto count = [] {
    DescriptorBudget budget;
    return CountProcesses({getpid()}, budget);
  };
  const auto before = count();
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd null_fd = OpenFile("/dev/null", O_RDONLY).value();
  const auto after = count();
  EXPECT_EQ(after.file_descriptors(), before.file_descriptors() + 2);
  EXPECT_EQ(after.sockets(), before.sockets() + 1);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(SoftOpenFiles(getpid()), limit.rlim_cur);
  EXPECT_FALSE(SoftOpenFiles(0));
}

}  // namespace
}  // namespace catamaran
