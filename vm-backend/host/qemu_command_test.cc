#include "vm-backend/host/qemu_command.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace catamaran {
namespace {

QemuMachine Cold() {
  QemuMachine machine;
  machine.qemu = "/usr/bin/qemu-system-x86_64";
  machine.memory_bytes = 256 << 20;
  machine.kernel = HostPath("/guest/vmlinuz");
  machine.initramfs = HostPath("/guest/initramfs.img");
  machine.command_line = "console=ttyS0";
  machine.network = true;
  machine.mac = "0a:58:0a:58:00:02";
  return machine;
}

// The value that follows an option; empty where it is absent.
std::string After(const std::vector<std::string>& arguments, const std::string& option) {
  const auto found = std::find(arguments.begin(), arguments.end(), option);
  return found == arguments.end() || found + 1 == arguments.end() ? "" : *(found + 1);
}
bool Mentions(const std::vector<std::string>& arguments, const std::string& text) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [&](const auto& one) { return one.find(text) != std::string::npos; });
}
std::vector<std::string> Devices(const std::vector<std::string>& arguments) {
  std::vector<std::string> devices;
  for (size_t i = 0; i + 1 < arguments.size(); ++i)
    if (arguments[i] == "-device") devices.push_back(arguments[i + 1]);
  return devices;
}

TEST(QemuCommand, ConfinesQemuAndLoadsNoDefaults) {
  const auto arguments = QemuArguments(Cold());
  EXPECT_TRUE(Mentions(arguments, "-nodefaults"));
  EXPECT_TRUE(Mentions(arguments, "-no-user-config"));
  EXPECT_EQ(After(arguments, "-sandbox"),
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}

TEST(QemuCommand, HasNoBalloon) { EXPECT_FALSE(Mentions(QemuArguments(Cold()), "balloon")); }

TEST(QemuCommand, CloneHasTheTemplatesDevicesButNoKernel) {
  QemuMachine maker = Cold(), clone = Cold();
  maker.memory = QemuMachine::Memory::kTemplateShared;
  maker.network = false;
  maker.mac.clear();
  clone.memory = QemuMachine::Memory::kTemplateClone;
  clone.boot = QemuMachine::Boot::kIncoming;
  clone.mac.clear();
  const auto made = QemuArguments(maker), cloned = QemuArguments(clone);
  EXPECT_EQ(Devices(made), Devices(cloned));
  EXPECT_EQ(After(made, "-machine"), After(cloned, "-machine"));
  EXPECT_EQ(After(made, "-cpu"), After(cloned, "-cpu"));
  EXPECT_EQ(After(made, "-kernel"), kKernelName);
  EXPECT_EQ(After(cloned, "-kernel"), "");
  EXPECT_EQ(After(cloned, "-incoming"), "defer");
}

// A shared mapping would let one clone change what all others see.
TEST(QemuCommand, CloneMapsTheTemplatePrivately) {
  QemuMachine clone = Cold();
  clone.memory = QemuMachine::Memory::kTemplateClone;
  EXPECT_NE(After(QemuArguments(clone), "-object").find("share=off"), std::string::npos);
}

TEST(GuestCommandLine, HasTheAdministratorsWordsLast) {
  EXPECT_TRUE(GuestCommandLine(Accelerator::kKvm, 0, "a=b").ends_with(" a=b"));
}

TEST(GuestCommandLine, GivesAnEmulatedGuestTheHostsClock) {
  EXPECT_NE(GuestCommandLine(Accelerator::kTcg, 2600000, "").find("tsc_early_khz=2600000"),
            std::string::npos);
  EXPECT_EQ(GuestCommandLine(Accelerator::kKvm, 2600000, "").find("tsc_early_khz"),
            std::string::npos);
}

TEST(GuestMemory, IsTheLimitPlusOverheadRoundedUpToAClass) {
  constexpr uint64_t kMiB = 1 << 20;
  struct Row {
    uint64_t limit, fallback, overhead, expected;
  };
  const Row rows[] = {
      {64 * kMiB, 512 * kMiB, 64 * kMiB, 128 * kMiB},
      {65 * kMiB, 512 * kMiB, 64 * kMiB, 192 * kMiB},
      {256 * kMiB, 512 * kMiB, 128 * kMiB, 384 * kMiB},
      {1024 * kMiB, 512 * kMiB, 128 * kMiB, 1536 * kMiB},
      {0, 2048 * kMiB, 128 * kMiB, 3072 * kMiB},
      {0, 0, 0, 768 * kMiB},
      {1, 0, 1, 128 * kMiB},
  };
  for (const Row& row : rows)
    EXPECT_EQ(GuestMemoryBytes(row.limit, row.fallback, row.overhead), row.expected)
        << row.limit / kMiB << " MiB";
}

TEST(GuestMemory, SaysWhichLimitsItIsFor) {
  constexpr uint64_t kMiB = 1 << 20;
  for (const uint64_t overhead : {uint64_t{0}, 64 * kMiB, 100 * kMiB, 128 * kMiB}) {
    uint64_t guest = 128 * kMiB;
    for (int step = 0; step < 12; ++step) {
      const auto [above, at_most] = PodLimitsOfGuest(guest, overhead);
      SCOPED_TRACE(std::to_string(guest / kMiB) + " MiB, overhead " + std::to_string(overhead));
      if (at_most > above) {
        EXPECT_EQ(GuestMemoryBytes(at_most, 0, overhead), guest);
        EXPECT_EQ(GuestMemoryBytes(above + 1, 0, overhead), guest);
        EXPECT_GT(GuestMemoryBytes(at_most + 1, 0, overhead), guest);
        if (above > 0) {
          EXPECT_LT(GuestMemoryBytes(above, 0, overhead), guest);
        }
      }
      guest = GuestMemoryBytes(guest + 1, 0, 1);
    }
  }
}

}  // namespace
}  // namespace catamaran
