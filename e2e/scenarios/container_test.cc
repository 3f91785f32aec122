// Containers: their states, exit codes, reasons and signals.
#include "e2e/harness/pod_test.h"

#include <set>

namespace catamaran::e2e {
namespace {

class Containers : public PodTest {
 protected:
  ErrorCode Start(const std::string& container) {
    v1::StartContainerRequest request;
    request.set_container_id(container);
    return cri().StartContainer(request).code();
  }
  void Stop(const std::string& container, int timeout) {
    v1::StopContainerRequest request;
    request.set_container_id(container);
    request.set_timeout(timeout);
    auto reply = cri().StopContainer(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
  void Remove(const std::string& container) {
    v1::RemoveContainerRequest request;
    request.set_container_id(container);
    auto reply = cri().RemoveContainer(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
  }
  std::set<std::string> List(const v1::ContainerFilter& filter) {
    v1::ListContainersRequest request;
    *request.mutable_filter() = filter;
    auto reply = cri().ListContainers(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    std::set<std::string> ids;
    for (const auto& container : reply->containers()) ids.insert(container.id());
    return ids;
  }
};

TEST_P(Containers, GoFromCreatedOverRunningToExited) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "trap 'exit 7' TERM; echo up; while :; do sleep 1; done");
  (*config.mutable_labels())["app"] = "x";
  (*config.mutable_annotations())["note"] = "y";
  config.mutable_metadata()->set_attempt(2);
  const std::string id = Create(pod, config);
  auto status = StatusOf(id);
  EXPECT_EQ(status.state(), v1::CONTAINER_CREATED);
  EXPECT_EQ(status.id(), id);
  EXPECT_EQ(status.metadata().name(), "main");
  EXPECT_EQ(status.metadata().attempt(), 2u);
  EXPECT_EQ(status.labels().at("app"), "x");
  EXPECT_EQ(status.annotations().at("note"), "y");
  EXPECT_EQ(status.image().image(), kImage);
  EXPECT_FALSE(status.image_ref().empty());
  EXPECT_EQ(status.image_id().rfind("sha256:", 0), 0u) << status.image_id();
  EXPECT_GT(status.created_at(), 0);
  EXPECT_EQ(status.started_at(), 0);
  EXPECT_EQ(status.log_path(), config_of(pod).log_directory() + "/main.log");
  EXPECT_EQ(Start(id), ErrorCode{0});
  status = StatusOf(id);
  EXPECT_EQ(status.state(), v1::CONTAINER_RUNNING);
  EXPECT_GE(status.started_at(), status.created_at());
  EXPECT_EQ(status.finished_at(), 0);
  EXPECT_NE(Start(id), ErrorCode{0});                        // only from CREATED
  ASSERT_TRUE(WaitUntil([&] { return !Log(id).empty(); }));  // the trap is set
  Stop(id, 30);
  status = StatusOf(id);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 7);
  EXPECT_EQ(status.reason(), "Error");
  EXPECT_GE(status.finished_at(), status.started_at());
  EXPECT_NE(Start(id), ErrorCode{0});
  Remove(id);
  Remove(id);
  v1::ContainerStatusRequest request;
  request.set_container_id(id);
  EXPECT_EQ(cri().ContainerStatus(request).code(), ErrorCode::kNotFound);
  Stop(id, 0);
}

TEST_P(Containers, ExitCodesAndReasonsAreTheProcesses) {
  const std::string pod = RunPod();
  const struct {
    const char* name;
    const char* script;
    int code;
    const char* reason;
  } kCases[] = {{"success", "true", 0, "Completed"},
                {"failure", "exit 3", 3, "Error"},
                {"highest", "exit 255", 255, "Error"},
                // Process 1 of a pid namespace only gets signals from outside or by a fault.
                {"child-killed", "sh -c 'kill -9 $$'; exit $?", 137, "Error"}};
  for (const auto& row : kCases) {
    const Ended ended = RunToEnd(pod, ShellConfig(row.name, row.script));
    EXPECT_EQ(ended.exit_code, row.code) << row.name;
    EXPECT_EQ(ended.reason, row.reason) << row.name;
  }
}

TEST_P(Containers, StopSendsTermThenKillsWhatDoesNotEnd) {
  const std::string pod = RunPod();
  const std::string id = CreateAndStart(
      pod, ShellConfig("stubborn", "trap '' TERM; echo up; while :; do sleep 1; done"));
  ASSERT_TRUE(WaitUntil([&] { return !Log(id).empty(); }));
  Stop(id, 1);
  EXPECT_EQ(StatusOf(id).exit_code(), 137);
}

TEST_P(Containers, StopWithoutGraceKillsAtOnce) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  Stop(id, 0);
  EXPECT_EQ(StatusOf(id).exit_code(), 137);
  EXPECT_EQ(StatusOf(id).reason(), "Error");
}

TEST_P(Containers, TheStopSignalOfTheRequestIsSent) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "trap 'exit 5' USR1; echo up; while :; do sleep 1; done");
  config.set_stop_signal(v1::SIGNAL_SIGUSR1);
  const std::string id = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitUntil([&] { return !Log(id).empty(); }));
  EXPECT_EQ(StatusOf(id).stop_signal(), v1::SIGNAL_SIGUSR1);
  Stop(id, 30);
  EXPECT_EQ(StatusOf(id).exit_code(), 5);
}

TEST_P(Containers, AProgramThatIsNotThereIsAStartErrorWithCode128) {
  const std::string pod = RunPod();
  auto created = TryCreate(pod, ContainerConfig("absent", {"/bin/not-there"}));
  if (!created.ok()) return;  // saying it at Create is as good
  EXPECT_NE(Start(created->container_id()), ErrorCode{0});
  const auto status = StatusOf(created->container_id());
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 128);
  EXPECT_EQ(status.reason(), "StartError");
  EXPECT_NE(status.message().find("not-there"), std::string::npos) << status.message();
}

TEST_P(Containers, AContainerCanBeMadeAgainUnderTheNextAttempt) {
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "true");
  RunToEnd(pod, config);
  auto same = TryCreate(pod, config);
  EXPECT_EQ(same.code(), ErrorCode::kAlreadyExists) << same.message();
  config.mutable_metadata()->set_attempt(1);
  EXPECT_EQ(RunToEnd(pod, config).exit_code, 0);
}

TEST_P(Containers, RemoveOfARunningOneKillsIt) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  Remove(id);
  EXPECT_TRUE(List({}).empty());
}

TEST_P(Containers, ListFiltersTogether) {
  const std::string pod = RunPod(), other = RunPod();
  auto config = ShellConfig("labelled", "true");
  (*config.mutable_labels())["color"] = "red";
  const std::string created = Create(pod, config);
  const std::string running = StartSleeper(pod);
  const std::string elsewhere = Create(other, config);
  using Ids = std::set<std::string>;
  EXPECT_EQ(List({}), (Ids{created, running, elsewhere}));
  v1::ContainerFilter filter;
  filter.set_pod_sandbox_id(pod);
  EXPECT_EQ(List(filter), (Ids{created, running}));
  filter.mutable_state()->set_state(v1::CONTAINER_RUNNING);
  EXPECT_EQ(List(filter), Ids{running});
  filter.Clear();
  (*filter.mutable_label_selector())["color"] = "red";
  EXPECT_EQ(List(filter), (Ids{created, elsewhere}));
  filter.set_id(created);
  EXPECT_EQ(List(filter), Ids{created});
  filter.set_pod_sandbox_id(other);
  EXPECT_EQ(List(filter), Ids{});
}

TEST_P(Containers, AChildThatOutlivesProcessOneIsKilledWithIt) {
  const std::string pod = RunPod();
  const Ended ended = RunToEnd(pod, ShellConfig("parent", "sleep 1000 & echo started"));
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.out, "started\n");
}

CATAMARAN_ON_EVERY_HANDLER(Containers);

}  // namespace
}  // namespace catamaran::e2e
