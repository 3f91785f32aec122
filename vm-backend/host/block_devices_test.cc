// Nodes of loop devices that need no file behind them: only that they are block devices matters.
#include "vm-backend/host/block_devices.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "vm-backend/host/noting_machine_testing.h"

namespace catamaran {
namespace {

constexpr unsigned kLoopMajor = 7;

class BlockDevicesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(getuid(), 0u) << "run as root";
    char name[] = "/tmp/block_devices.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    for (unsigned number : {0, 1})
      ASSERT_EQ(mknod(Node(number).c_str(), S_IFBLK | 0640, makedev(kLoopMajor, number)), 0);
    loop_ = EventLoop::Create().value();
    devices_ = std::make_unique<BlockDevices>(*loop_, machine_);
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string Node(unsigned number) const { return folder_ / std::to_string(number); }
  static spec::Device DeviceAt(const std::string& path, const std::string& permissions = "rwm") {
    spec::Device device;
    device.set_host_path(path);
    device.set_container_path("/dev/xvda");
    device.set_permissions(permissions);
    return device;
  }
  using Answer = std::optional<Result<spec::Device>>;
  void Ask(const spec::Device& device, Answer* answer) {
    devices_->Acquire(device, [answer](Result<spec::Device> got) { *answer = std::move(got); });
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    for (int i = 0; i < 3000 && !condition(); ++i)
      if (!loop_->RunOnce(std::chrono::milliseconds(20))) return false;
    return condition();
  }
  void Release(const std::string& serial) {
    devices_->Release(serial, [](Status released) { EXPECT_TRUE(released); });
  }

  std::filesystem::path folder_;
  std::unique_ptr<EventLoop> loop_;
  NotingMachine machine_;
  std::unique_ptr<BlockDevices> devices_;
};

TEST_F(BlockDevicesTest, TheGuestIsToldTheDiskAndNoPathOfTheHost) {
  ASSERT_EQ(chown(Node(0).c_str(), 1234, 2000), 0);
  Answer answer;
  Ask(DeviceAt(Node(0)), &answer);
  ASSERT_TRUE(RunUntil([&] { return machine_.devices.size() == 1; }));
  EXPECT_FALSE(answer.has_value()) << "it is not attached yet";
  struct stat status;
  ASSERT_EQ(fstat(machine_.devices[0].fd.get(), &status), 0);
  EXPECT_EQ(status.st_rdev, makedev(kLoopMajor, 0));
  machine_.answers[0]({});
  ASSERT_TRUE(answer && *answer);
  const spec::Device& device = **answer;
  EXPECT_EQ(device.host_path(), "");
  EXPECT_EQ(device.disk_serial(), machine_.devices[0].serial);
  EXPECT_EQ(device.container_path(), "/dev/xvda");
  EXPECT_EQ(device.mode(), 0640u);
  EXPECT_EQ(device.uid(), 1234u);
  EXPECT_EQ(device.gid(), 2000u);
}

TEST_F(BlockDevicesTest, OneDeviceIsOneDiskWhateverItsNameUntilItsLastUserIsGone) {
  const std::string other_name = folder_ / "again";
  ASSERT_EQ(mknod(other_name.c_str(), S_IFBLK | 0640, makedev(kLoopMajor, 0)), 0);
  Answer first, second;
  Ask(DeviceAt(Node(0)), &first);
  ASSERT_TRUE(RunUntil([&] { return machine_.devices.size() == 1; }));
  machine_.answers[0]({});
  Ask(DeviceAt(other_name), &second);
  ASSERT_TRUE(RunUntil([&] { return second.has_value(); }));
  EXPECT_EQ(machine_.devices.size(), 1u);
  const std::string serial = (*first)->disk_serial();
  EXPECT_EQ((*second)->disk_serial(), serial);
  Release(serial);
  EXPECT_TRUE(machine_.detached.empty());
  Release(serial);
  EXPECT_EQ(machine_.detached, std::vector<std::string>{serial});
  Release(serial);
  EXPECT_EQ(machine_.detached.size(), 1u) << "unknown serials are success";
}

TEST_F(BlockDevicesTest, ForReadingOnlyItIsAnotherDiskThatCannotBeWritten) {
  Answer writer, reader;
  Ask(DeviceAt(Node(0), "rwm"), &writer);
  Ask(DeviceAt(Node(0), "rm"), &reader);
  ASSERT_TRUE(RunUntil([&] { return machine_.devices.size() == 2; }));
  for (auto& answer : machine_.answers) answer({});
  EXPECT_NE((*writer)->disk_serial(), (*reader)->disk_serial());
  for (const auto& device : machine_.devices)
    EXPECT_EQ(fcntl(device.fd.get(), F_GETFL) & O_ACCMODE, device.readonly ? O_RDONLY : O_RDWR);
  EXPECT_NE(machine_.devices[0].readonly, machine_.devices[1].readonly);
}

TEST_F(BlockDevicesTest, ADeviceThatCannotBeAttachedFailsForAllAndIsTriedAgain) {
  Answer first, second, third;
  Ask(DeviceAt(Node(1)), &first);
  Ask(DeviceAt(Node(1)), &second);
  ASSERT_TRUE(RunUntil([&] { return machine_.devices.size() == 1; }));
  // The other one has been opened too.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(10)));
  machine_.answers[0](Fail(ErrorCode::kInternal, "no"));
  ASSERT_TRUE(RunUntil([&] { return first && (second || machine_.devices.size() == 2); }));
  EXPECT_FALSE(*first);
  Ask(DeviceAt(Node(1)), &third);
  ASSERT_TRUE(RunUntil([&] { return machine_.devices.size() == 2; }));
  machine_.answers[1]({});
  ASSERT_TRUE(RunUntil([&] { return third.has_value(); }));
  EXPECT_TRUE(*third);
}

TEST_F(BlockDevicesTest, WhatIsNoBlockDeviceIsRefusedByName) {
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  for (const std::string& path : {fifo, std::string("/dev/null"), folder_.string()}) {
    Answer answer;
    Ask(DeviceAt(path), &answer);
    ASSERT_TRUE(RunUntil([&] { return answer.has_value(); })) << path;
    ASSERT_FALSE(*answer) << path;
    EXPECT_EQ(answer->error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(answer->error().message.find(path), std::string::npos) << answer->error().message;
  }
  Answer absent;
  Ask(DeviceAt(folder_ / "absent"), &absent);
  ASSERT_TRUE(RunUntil([&] { return absent.has_value(); }));
  EXPECT_EQ(absent->error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(machine_.devices.empty());
}

}  // namespace
}  // namespace catamaran
