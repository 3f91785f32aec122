#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vm-backend/host/vm_test_util.h"

namespace catamaran {

inline constexpr char kSecret[] = "not shared\n";
inline constexpr char kOwn[] = "the volume's own\n";
// What a flood gets out at the least, however slow or busy the host is. Each byte of the console is
// a trap into the emulator, so there it is less, and still eight times what the host keeps of it.
inline constexpr size_t kLeastFlood = 1 << 20;
inline constexpr size_t kConsoleFlood = 128 << 10;
// What this process, in place of a shim, and its volume server may grow by while their guest floods
// them; and what a guest sends where it is to grow by more.
inline constexpr size_t kMostGrowth = 48 << 20;
inline constexpr char kEndless[] = "98304";  // KiB

// One machine per test, with a volume and a read-only disk; a secret lies beside the volume.
class HostileGuest : public testing::Test {
 protected:
  void SetUp() override;

  spec::SandboxSpec Hostile() const;
  // Its volume is "0", its disk "image-1".
  void Boot() { Boot(Hostile()); }
  void Boot(const spec::SandboxSpec& sandbox);

  // Has the guest carry out an attack; its report, as far as it came. Meanwhile the shim asks its
  // agent what a shim asks.
  std::string Attack(const std::vector<std::string>& words);
  // Of those that read what a guest sends: how much they have grown since Boot() at the most.
  size_t Growth() const { return most_resident_ - std::min(resident_at_boot_, most_resident_); }
  // The shim has given its guest up: the reason, "" where it has not.
  std::string GivenUp() const;

  // The results of all lines about this.
  static std::vector<std::string> Results(const std::string& report, const std::string& what);
  static void ExpectRefused(const std::string& report, const std::string& what);

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<VmPod> pod_;
  std::filesystem::path host_, image_;
  std::map<std::string, std::string> details_;
  bool volumes_lost_ = false;

 private:
  bool Ended(const std::string& exec) const;
  void AskAgent();

  int attacks_ = 0;
  size_t resident_at_boot_ = 0, most_resident_ = 0;
  std::optional<Deadline> next_question_;
};

}  // namespace catamaran
