// On an ext4 of the test's own, or on that of CATAMARAN_TEST_DISK: in a guest, as
// writable_limit_in_guest.sh runs it, since kernels without CONFIG_QFMT_V2 cannot mount one with
// quotas.
#include "cri/pods/writable_limit.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr uint64_t kLimit = 8 << 20;
// Who has CAP_SYS_RESOURCE meets no quota.
constexpr uid_t kNobody = 65534;

class WritableLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(mounted_);
    if (const char* prepared = getenv("CATAMARAN_TEST_DISK")) {
      ASSERT_EQ(mount(prepared, mounted_.c_str(), "ext4", 0, "prjquota"), 0) << strerror(errno);
      is_mounted_ = true;
      for (const auto& id : {one_, two_}) {
        ASSERT_TRUE(RemoveTree((HostPath(mounted_) / id.value()).value()));
        ASSERT_TRUE(ForgetWritableLimit(HostPath(mounted_), id));
      }
      return;
    }
    const std::string command = "truncate -s 64M " + disk_ +
                                " && mkfs.ext4 -q -O project,quota -E " + "quotatype=prjquota " +
                                disk_ + " && mount -o loop,prjquota " + disk_ + " " + mounted_ +
                                " 2>/dev/null";
    if (system(command.c_str()) != 0)
      GTEST_SKIP() << "this kernel mounts no ext4 with project quotas (CONFIG_QFMT_V2)";
    is_mounted_ = true;
  }
  ~WritableLimitTest() override {
    if (is_mounted_) umount2(mounted_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(folder_);
  }
  HostPath Container(const ContainerId& id) {
    const HostPath folder = HostPath(mounted_) / id.value();
    std::filesystem::create_directories(folder.value());
    std::filesystem::permissions(folder.value(), std::filesystem::perms::all);
    return folder;
  }
  // Writes as nobody in a child; returns how many bytes there was room for.
  uint64_t Fill(const HostPath& folder, int* error_number) {
    const std::string file = (folder / "filled").string();
    const pid_t child = fork();
    if (child == 0) {
      if (setuid(kNobody) != 0) _exit(255);
      const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      static const char kBlock[1 << 16] = {};
      while (fd >= 0 && write(fd, kBlock, sizeof kBlock) > 0) {
      }
      _exit(errno);
    }
    int status = 0;
    waitpid(child, &status, 0);
    *error_number = WEXITSTATUS(status);
    return std::filesystem::exists(file) ? std::filesystem::file_size(file) : 0;
  }

  const std::string folder_ = testing::TempDir() + "/limit-" + std::to_string(getpid());
  const std::string disk_ = folder_ + "/disk";
  const std::string mounted_ = folder_ + "/mounted";
  bool is_mounted_ = false;
  const ContainerId one_{std::string(64, '1')};
  const ContainerId two_{std::string(64, '2')};
};

TEST_F(WritableLimitTest, EndsWhatIsWrittenThereAndNowhereElse) {
  ASSERT_TRUE(CheckWritableLimits(HostPath(mounted_)));
  const HostPath limited = Container(one_), free = Container(two_);
  ASSERT_TRUE(SetWritableLimit(limited, one_, kLimit));
  std::filesystem::create_directories((limited / "upper").value());
  std::filesystem::permissions((limited / "upper").value(), std::filesystem::perms::all);
  int error_number = 0;
  EXPECT_LE(Fill(limited / "upper", &error_number), kLimit);
  EXPECT_TRUE(error_number == EDQUOT || error_number == ENOSPC) << error_number;
  EXPECT_GT(Fill(free, &error_number), 2 * kLimit);
}

TEST_F(WritableLimitTest, IsForgottenByTheIdAlone) {
  const HostPath limited = Container(one_);
  ASSERT_TRUE(SetWritableLimit(limited, one_, kLimit));
  int error_number = 0;
  Fill(limited, &error_number);
  EXPECT_EQ(SetWritableLimit(Container(two_), one_, kLimit).error().code, ErrorCode::kAlreadyExists)
      << "its files are counted already";
  ASSERT_TRUE(RemoveTree(limited.value()));
  ASSERT_TRUE(ForgetWritableLimit(HostPath(mounted_), one_));
  ASSERT_TRUE(ForgetWritableLimit(HostPath(mounted_), one_));
  ASSERT_TRUE(SetWritableLimit(Container(one_), one_, 4 * kLimit));
  EXPECT_GT(Fill(Container(one_), &error_number), 2 * kLimit);
}

TEST(WritableLimits, AreRefusedWhereTheFileSystemKeepsNone) {
  const auto checked = CheckWritableLimits(HostPath("/proc"));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(checked.error().message.find("prjquota"), std::string::npos) << checked.error().message;
  EXPECT_TRUE(ForgetWritableLimit(HostPath("/proc"), ContainerId(std::string(64, '1'))));
  EXPECT_TRUE(ForgetWritableLimit(HostPath("/absent"), ContainerId(std::string(64, '1'))));
}

}  // namespace
}  // namespace catamaran
