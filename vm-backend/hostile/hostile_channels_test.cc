// What a guest sends on its channels, whole, malformed and without end, and what the host notices.
#include <filesystem>

#include "vm-backend/hostile/hostile_guest_testing.h"

namespace catamaran {
namespace {

// Beside the hostile guest: an agent as a process of this host, behind the same loop.
class HostileChannels : public HostileGuest {
 protected:
  void SetUp() override {
    HostileGuest::SetUp();
    ASSERT_NO_FATAL_FAILURE(Boot());
    neighbour_ = std::make_unique<VmPod>(*loop_);
    auto sandbox = neighbour_->MachineSandbox();
    sandbox.mutable_machine()->set_launcher(spec::MachineSpec::PROCESS);
    const auto made = neighbour_->Create(sandbox);
    ASSERT_TRUE(made) << made.error().message;
    AskNeighbour();
  }
  void TearDown() override {
    timer_.Cancel();
    EXPECT_TRUE(RunUntil(*loop_, [&] { return !asking_; }));
    EXPECT_TRUE(neighbour_->Destroy());
  }

  // The attack, which must neither keep the neighbour waiting nor make this host hold more.
  std::string Flood(const std::vector<std::string>& words) {
    const int before = answers_;
    const std::string report = Attack(words);
    EXPECT_GT(answers_, before) << words[0] << " kept another pod waiting";
    EXPECT_LT(Growth(), kMostGrowth) << words[0] << " " << report;
    return report;
  }
  void ExpectSent(const std::string& report, size_t least) {
    const auto sent = Results(report, "sent");
    ASSERT_EQ(sent.size(), 1u) << report;
    EXPECT_GE(std::stoul(sent[0]), least);
  }
  // It broke the rules of its agent's channel: this pod ends, and with a reason.
  void ExpectGivenUp() {
    EXPECT_TRUE(RunUntil(*loop_, [&] { return !GivenUp().empty(); }));
  }

 private:
  void AskNeighbour() {
    auto again = loop_->RunAfter(std::chrono::milliseconds(100), [this] { AskNeighbour(); });
    if (again) timer_ = std::move(*again);
    if (std::exchange(asking_, true)) return;
    neighbour_->backend().List([&](Result<pod::ListResponse> list) {
      asking_ = false;
      answers_ += list && list->sandbox_ready() ? 1 : 0;
    });
  }

  std::unique_ptr<VmPod> neighbour_;
  int answers_ = 0;
  bool asking_ = false;
  EventLoop::Watch timer_;
};

TEST_F(HostileChannels, AreFloodedByWholeMessagesAndTheGuestIsStillServed) {
  ExpectSent(Flood({"flood-console", "128"}), kConsoleFlood);
  ExpectSent(Flood({"fuse-flood", "0"}), kLeastFlood);
  ExpectSent(Flood({"agent-events", kEndless}), kLeastFlood);
  EXPECT_EQ(GivenUp(), "");
  EXPECT_FALSE(volumes_lost_);
}

TEST_F(HostileChannels, AMalformedRequestLosesItsPlaceInItsOwnChannelOnly) {
  Flood({"fuse-malformed", "4294967295"});
  ExpectSent(Flood({"fuse-endless", kEndless}), kLeastFlood);
  // The server looks for the next session in whatever comes, and serves that.
  const std::string report = Attack({"fuse-names", "0", host_ / "secret"});
  EXPECT_EQ(Results(report, "volume"), std::vector<std::string>{"ok"}) << report;
  ExpectRefused(Attack({"fuse-overread", "0", "leak"}), "write");
  EXPECT_EQ(std::filesystem::file_size(host_ / "volume/leak"), 0u);
  EXPECT_FALSE(volumes_lost_);
  EXPECT_EQ(GivenUp(), "");
}

TEST_F(HostileChannels, NoiseInTheMiddleOfASessionEndsIt) {
  Flood({"flood-agent", kEndless});
  ExpectGivenUp();
}

TEST_F(HostileChannels, AFrameWithoutEndEndsItsSession) {
  Flood({"agent-frame", kEndless});
  ExpectGivenUp();
}

TEST_F(HostileChannels, AMessageWithoutEndEndsItsSession) {
  Flood({"agent-message", kEndless});
  ExpectGivenUp();
}

}  // namespace
}  // namespace catamaran
