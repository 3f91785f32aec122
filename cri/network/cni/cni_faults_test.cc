// Plugins that fail, daemons that die, machines that boot: no address is lost.
#include <atomic>
#include <random>
#include <thread>

#include "cri/network/cni/testing/cni_network_fixture.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

class CniFaultsTest : public CniNetworkTest {};

TEST_F(CniFaultsTest, GivesBackWhatAFailedAddGot) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  for (const char* step : {"error 107 out of luck", "garbage", "die", "stop"}) {
    recorder_->Plan("ADD", step);
    const auto failed = network->Attach(Request("pod"), Soon());
    ASSERT_FALSE(failed) << step;
    if (step[0] == 'e') {
      EXPECT_EQ(failed.error().message,
                "network pods: CNI plugin recording_plugin (ADD): code 107: out of luck: as the "
                "plan says");
    }
    EXPECT_EQ(Remains(), "") << step;
  }
}

TEST_F(CniFaultsTest, ReleasesTheAddressInTheEndWhereDelFailsThreeTimes) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "error 100 no");
  recorder_->Plan("DEL", "error 100 one\nerror 100 two\nerror 100 three\n");
  EXPECT_FALSE(network->Attach(Request("pod"), Soon()));
  EXPECT_EQ(Addresses().size(), 2u) << "both families";
  EXPECT_FALSE(network->Detach(PodId("pod"), Soon()));
  EXPECT_FALSE(network->Detach(PodId("pod"), Soon()));
  EXPECT_EQ(network->Attach(Request("pod"), Soon()).error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniFaultsTest, ASlowPluginHoldsUpItsPodOnly) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "wait " + (base_ / "go").string());
  std::thread slow([&] { Attach(*network, Request("slow")); });
  ASSERT_TRUE(Eventually([&] { return recorder_->Commands() == "ADD "; }));
  Attach(*network, Request("quick"));
  EXPECT_TRUE(network->Detach(PodId("quick"), Soon()));
  std::ofstream(base_ / "go") << "x";
  slow.join();
  EXPECT_TRUE(network->Detach(PodId("slow"), Soon()));
  EXPECT_EQ(Remains(), "");
}

TEST_F(CniFaultsTest, GivesBackWhatWasGotBeforeAPluginHung) {
  Configure({Bridge(), recorder_->Config()});
  const auto network = MakeRecovered();
  recorder_->Plan("ADD", "hang");
  const auto hung = network->Attach(Request("pod"), Deadline::After(seconds(2)));
  EXPECT_EQ(hung.error().code, ErrorCode::kDeadlineExceeded) << hung.error().message;
  EXPECT_EQ(Remains(), "");
}

// The namespaces and the pins are gone, the plugins' stores are not.
TEST_F(CniFaultsTest, DeletesWhatAnotherBootLeftBeforeTheFirstAdd) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});  // one address
  {
    const auto network = MakeRecovered();
    const auto pod = Attach(*network, Request("old"));
    ASSERT_EQ(umount2(pod.netns.c_str(), MNT_DETACH), 0);
    ASSERT_TRUE(RemoveTree(options_.run.value()));
    const auto store = AttachmentStore::Open(options_.root / "network/cni").value();
    auto attachment = store.Load().value().at(0);
    EXPECT_EQ(attachment.boot_id(), ReadBootId().value());
    attachment.set_boot_id("another");
    ASSERT_TRUE(store.Save(attachment));
  }
  const auto network = MakeRecovered();
  EXPECT_EQ(recorder_->Commands(), "ADD DEL ");
  EXPECT_EQ(recorder_->Calls().back()["netns"], "");
  EXPECT_EQ(Attach(*network, Request("new")).ips().at(0), "10.22.0.2");
}

TEST_F(CniFaultsTest, TriesLeftoversAgainInTheBackground) {
  Configure({Bridge(), recorder_->Config()});
  { Attach(*MakeRecovered(), Request("pod")); }
  recorder_->Plan("DEL", "error 100 one\nerror 100 two\nerror 100 three\n");
  const auto network = Make();
  EXPECT_FALSE(network->DetachExcept({}, Soon()));
  EXPECT_TRUE(Eventually([&] { return Addresses().empty(); }));
  EXPECT_TRUE(Eventually([&] { return Remains().empty(); })) << Remains();
}

TEST_F(CniFaultsTest, GivesBackADamagedRecordsAddress) {
  Configure({Bridge(), recorder_->Config()});
  { Attach(*MakeRecovered(), Request("pod")); }
  for (const std::string& content : {std::string("\xff\xff"), std::string()}) {
    ASSERT_TRUE(ReplaceFile((options_.root / "network/cni/pod.record").value(), content, 0600,
                            Durability::kProcessCrash));
    const auto network = MakeRecovered();
    EXPECT_EQ(Remains(), "");
    Attach(*network, Request("pod"));
  }
}

// Five addresses for four workers: one that is lost is soon missed.
TEST_F(CniFaultsTest, LosesNoAddressOverFiveHundredCyclesWithFailures) {
  Configure({Bridge("10.22.0.0/29"), recorder_->Config()});
  const auto network = MakeRecovered();
  std::atomic<int> next = 0, failed_adds = 0, failed_deletes = 0;
  const auto work = [&](int worker) {
    std::mt19937 random(worker);
    const std::vector<std::string> ways = {"error 100 no", "garbage", "silent", "die"};
    for (int cycle = next++; cycle < 500; cycle = next++) {
      const PodId pod("pod" + std::to_string(cycle));
      // Shared by the workers, so it meets whoever comes next.
      if (random() % 3 == 0) recorder_->Plan(random() % 2 ? "ADD" : "DEL", ways[random() % 4]);
      const auto attached = network->Attach(Request(pod.value()), Soon());
      if (!attached) {
        ++failed_adds;
        EXPECT_NE(attached.error().message.find("recording_plugin"), std::string::npos)
            << attached.error().message;
      }
      while (!network->Detach(pod, Soon())) ++failed_deletes;
    }
  };
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 4; ++worker) workers.emplace_back(work, worker);
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(Remains(), "");
  EXPECT_GT(failed_adds, 20);
  EXPECT_GT(failed_deletes, 5);
}

TEST_F(CniFaultsTest, ConvergesAfterAKillAtAnyStepOfAttach) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});
  const int steps = KillAtEveryStep(
      [&] {
        const auto network = MakeCniNetwork(options_);
        (void)(*network)->Attach(Request("pod"), Soon());
      },
      [&](int step) {
        const auto network = MakeRecovered();
        EXPECT_EQ(Remains(), "") << "killed at step " << step;
        Attach(*network, Request("next"));  // the only address is free again
        EXPECT_TRUE(network->Detach(PodId("next"), Soon()));
        EXPECT_EQ(Remains(), "") << "killed at step " << step;
      });
  EXPECT_GT(steps, 10);
}

TEST_F(CniFaultsTest, ConvergesAfterAKillAtAnyStepOfDetach) {
  Configure({Bridge("10.22.0.0/30"), recorder_->Config()});
  const int steps = KillDetachAtEveryStep([&] { return Make(); }, Request("pod"),
                                          [&](int step) {
                                            const auto network = Make();
                                            EXPECT_TRUE(network->Detach(PodId("pod"), Soon()));
                                            EXPECT_TRUE(network->DetachExcept({}, Soon()));
                                            EXPECT_EQ(Remains(), "") << "killed at step " << step;
                                          });
  EXPECT_GT(steps, 6);
}

}  // namespace
}  // namespace catamaran
