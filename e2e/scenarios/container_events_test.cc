// GetContainerEvents: a life is told in its order, each event once, whoever is killed meanwhile.
#include "e2e/harness/event_reader.h"
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

using Words = std::vector<std::string>;

class ContainerEventsTest : public PodTest {
 protected:
  void Stop(const std::string& container) {
    v1::StopContainerRequest request;
    request.set_container_id(container);
    auto reply = cri().StopContainer(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
  void Remove(const std::string& container) {
    v1::RemoveContainerRequest request;
    request.set_container_id(container);
    auto reply = cri().RemoveContainer(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
};

TEST_P(ContainerEventsTest, TellALifeInItsOrderToEverySubscriber) {
  const EventReader first(cri().endpoint()), second(cri().endpoint());
  const std::string pod = RunPod();
  const std::string quick = CreateAndStart(pod, ShellConfig("quick", "exit 3"));
  const std::string stays = StartSleeper(pod);
  ASSERT_TRUE(WaitForState(quick, v1::CONTAINER_EXITED));
  Remove(quick);
  StopAndRemovePod(pod);
  const Words whole = {"CREATED", "STARTED", "STOPPED", "DELETED"};
  for (const EventReader* reader : {&first, &second}) {
    for (const std::string& id : {pod, quick, stays})
      EXPECT_TRUE(WaitUntil([&] { return reader->Of(id) == whole; }))
          << ::testing::PrintToString(reader->Of(id));
    // The sandbox is there before its containers and ends after them.
    const auto events = reader->Events();
    ASSERT_EQ(events.size(), 12u);
    EXPECT_EQ(events.front().container_id(), pod);
    EXPECT_EQ(events.back().container_id(), pod);
    for (const auto& event : events) {
      EXPECT_GT(event.created_at(), 0);
      EXPECT_EQ(event.pod_sandbox_status().id(), pod);
    }
    for (const auto& event : events) {
      if (event.container_id() != quick ||
          event.container_event_type() != v1::CONTAINER_STOPPED_EVENT)
        continue;
      for (const auto& status : event.containers_statuses()) {
        if (status.id() == quick) {
          EXPECT_EQ(status.exit_code(), 3);
        }
      }
    }
  }
}

TEST_P(ContainerEventsTest, TellNothingTwiceOverADaemonsDeath) {
  const std::string pod = RunPod();
  const std::string stays = StartSleeper(pod, "stays");
  const std::string ended = CreateAndStart(pod, ShellConfig("ended", "exit 0"));
  ASSERT_TRUE(WaitForState(ended, v1::CONTAINER_EXITED));
  {
    const EventReader before(cri().endpoint());
    world().daemon().Kill();
    EXPECT_TRUE(WaitUntil([&] { return before.ended(); }));
    EXPECT_TRUE(before.Events().empty());
  }
  auto started = world().RestartDaemon();
  ASSERT_TRUE(started) << started.error().message;
  const EventReader after(cri().endpoint());
  ASSERT_TRUE(WaitForState(stays, v1::CONTAINER_RUNNING));
  Stop(stays);
  Remove(stays);
  Remove(ended);
  EXPECT_TRUE(WaitUntil([&] {
    return after.Of(stays) == (Words{"STOPPED", "DELETED"});
  })) << ::testing::PrintToString(after.Of(stays));
  EXPECT_TRUE(WaitUntil([&] { return after.Of(ended) == (Words{"DELETED"}); }))
      << ::testing::PrintToString(after.Of(ended));
  EXPECT_EQ(after.Of(pod), Words{});
  EXPECT_EQ(after.Events().size(), 3u);
}

CATAMARAN_ON_EVERY_HANDLER(ContainerEventsTest);

}  // namespace
}  // namespace catamaran::e2e
