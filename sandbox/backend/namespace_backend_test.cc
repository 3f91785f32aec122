// A container's life: create, start, signal, exit, remove.
#include <signal.h>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/kernel/cgroup.h"

namespace catamaran {
namespace {

using LifeOfAContainer = EngineTest;

TEST_F(LifeOfAContainer, ItRunsAndItsExitIsReported) {
  CreateSandbox();
  ASSERT_TRUE(Create(ProbeSpec("one", {"echo:hello", "err:oops", "exit:7"})));
  EXPECT_EQ(List().containers(0).state(), spec::CREATED);
  ASSERT_TRUE(Start("one"));
  const auto exit = WaitExit("one");
  EXPECT_EQ(exit.exit_code(), 7);
  EXPECT_EQ(exit.signal(), 0);
  EXPECT_FALSE(exit.oom_killed());
  EXPECT_GT(exit.exited_at_ns(), 0);
  EXPECT_EQ(Stdout("one"), "echo=hello\n");
  EXPECT_EQ(Stderr("one"), "oops");
  EXPECT_EQ(List().containers(0).state(), spec::EXITED);
}

TEST_F(LifeOfAContainer, CreateRunsNoUserCode) {
  CreateSandbox();
  auto created = Create(ProbeSpec("one", {"write:/ran:x"}));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_GT(created->pid(), 0);
  // Time in which it could have run, had it been let go.
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(5)));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/one/upper/ran"));
  ASSERT_TRUE(Start("one"));
  WaitExit("one");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "data/one/upper/ran"));
}

TEST_F(LifeOfAContainer, AMissingProgramFailsStartByName) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {});
  spec.mutable_process()->set_args(0, "no-such-program");
  ASSERT_TRUE(Create(spec));
  auto started = Start("one");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(started.error().message,
            "exec \"no-such-program\": executable file not found in $PATH");
  const auto status = List().containers(0);
  EXPECT_EQ(status.state(), spec::EXITED);
  EXPECT_EQ(status.exit().exit_code(), 128);
  EXPECT_EQ(status.exit().message(), started.error().message);
  EXPECT_TRUE(events_.empty());
}

TEST_F(LifeOfAContainer, AProgramThatMayNotBeExecutedFailsStartByName) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {});
  spec.mutable_process()->set_args(0, "/etc");
  ASSERT_TRUE(Create(spec));
  auto started = Start("one");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(started.error().message.find("\"/etc\""), std::string::npos);
}

TEST_F(LifeOfAContainer, ProgramsAreFoundInThePathOfTheirOwnEnvironment) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"env:HOME", "env:MODE"});
  spec.mutable_process()->set_args(0, "probe");
  spec.mutable_process()->add_env("PATH=/nowhere:/");
  spec.mutable_process()->add_env("MODE=a=b");
  auto report = Run(spec);
  EXPECT_EQ(report["env MODE"], "a=b");
  EXPECT_EQ(report["env HOME"], "/");
}

TEST_F(LifeOfAContainer, StartingTwiceAndCreatingTwiceAreRefused) {
  CreateSandbox();
  StartForever("one");
  EXPECT_EQ(Start("one").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Create(ProbeSpec("one", {})).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(Start("unknown").error().code, ErrorCode::kNotFound);
}

TEST_F(LifeOfAContainer, ASignalReachesTheProgram) {
  CreateSandbox();
  StartForever("one", {"on-term"});
  ASSERT_TRUE(Signal("one", SIGTERM));
  EXPECT_EQ(WaitExit("one").exit_code(), 42);
  EXPECT_TRUE(Signal("one", SIGTERM)) << "one that has ended already is success";
  EXPECT_EQ(Signal("one", 0).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(LifeOfAContainer, AKilledOneExitsWith137AndWasNotOutOfMemory) {
  CreateSandbox();
  StartForever("one");
  ASSERT_TRUE(Signal("one", SIGKILL));
  const auto exit = WaitExit("one");
  EXPECT_EQ(exit.exit_code(), 137);
  EXPECT_EQ(exit.signal(), SIGKILL);
  EXPECT_FALSE(exit.oom_killed());
}

TEST_F(LifeOfAContainer, OneThatWasOnlyCreatedCanBeKilledAndRemoved) {
  CreateSandbox();
  ASSERT_TRUE(Create(ProbeSpec("one", {"echo:ran"})));
  ASSERT_TRUE(Signal("one", SIGKILL));
  EXPECT_EQ(WaitExit("one").exit_code(), 137);
  EXPECT_EQ(Start("one").error().code, ErrorCode::kFailedPrecondition);
  ASSERT_TRUE(Create(ProbeSpec("two", {"echo:ran"})));
  ASSERT_TRUE(Remove("two"));
  EXPECT_EQ(List().containers_size(), 1);
}

TEST_F(LifeOfAContainer, VerbsThatWaitForACreateThatFailsAreAnswered) {
  CreateSandbox();
  pod::CreateContainerRequest create;
  *create.mutable_container() = ProbeSpec("one", {});
  pod::StartContainerRequest start;
  start.set_container_id("one");
  pod::RemoveContainerRequest remove;
  remove.set_container_id("one");
  std::string answers;
  backend_->CreateContainer(create, Stdio(), [&](auto made) { answers += made ? "C" : "c"; });
  backend_->StartContainer(start, [&](auto started) { answers += started ? "S" : "s"; });
  // Ends the Create that is going on.
  backend_->RemoveContainer(remove, [&](auto removed) { answers += removed ? "R" : "r"; });
  backend_->DestroySandbox([&](auto destroyed) { answers += destroyed ? "D" : "d"; });
  EXPECT_TRUE(Await([&] { return answers.size() == 4; }));
  EXPECT_EQ(answers, "csRD");
}

TEST_F(LifeOfAContainer, RemoveEndsOneThatRunsAndTakesItsLayerAndGroup) {
  CreateSandbox();
  StartForever("one", {"daemon", "write:/file:x"});
  EXPECT_TRUE(std::filesystem::exists(folder_ / "data/one/upper/file"));
  ASSERT_TRUE(Remove("one"));
  EXPECT_EQ(WaitExit("one").exit_code(), 137) << "its exit comes before Remove completes";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "data/one"));
  EXPECT_FALSE(CgroupTree::Open().value()->Exists("/catamaran-test/" + pod_id_ + "/one"));
  EXPECT_EQ(List().containers_size(), 0);
  EXPECT_TRUE(Remove("one")) << "what is gone is removed";
}

TEST_F(LifeOfAContainer, VerbsAreCarriedOutInTheOrderGiven) {
  CreateSandbox();
  std::string order;
  pod::CreateContainerRequest create;
  *create.mutable_container() = ProbeSpec("one", {"forever"});
  pod::StartContainerRequest start;
  start.set_container_id("one");
  pod::SignalRequest kill_request;
  kill_request.mutable_process()->set_container_id("one");
  kill_request.set_signal(SIGKILL);
  pod::RemoveContainerRequest remove;
  remove.set_container_id("one");
  backend_->CreateContainer(create, Stdio(), [&](auto result) { order += result ? "c" : "!"; });
  backend_->StartContainer(start, [&](auto result) { order += result ? "s" : "!"; });
  backend_->Signal(kill_request, [&](auto result) { order += result ? "k" : "!"; });
  EXPECT_TRUE(Await([&] { return order.size() == 3; }));
  backend_->RemoveContainer(remove, [&](auto result) { order += result ? "r" : "!"; });
  EXPECT_TRUE(Await([&] { return order.size() == 4; }));
  EXPECT_EQ(order, "cskr");
}

TEST_F(LifeOfAContainer, ManyRunAtOnce) {
  CreateSandbox();
  constexpr int kCount = 12;
  int started = 0;
  for (int i = 0; i < kCount; ++i) {
    const std::string id = "c" + std::to_string(i);
    pod::CreateContainerRequest create;
    *create.mutable_container() = ProbeSpec(id, {"exit:" + std::to_string(i)});
    pod::StartContainerRequest start;
    start.set_container_id(id);
    backend_->CreateContainer(create, Stdio(),
                              [](auto result) { EXPECT_TRUE(result) << result.error().message; });
    backend_->StartContainer(start, [&](auto result) { started += result ? 1 : 0; });
  }
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(WaitExit("c" + std::to_string(i)).exit_code(), i);
  EXPECT_EQ(started, kCount);
}

TEST_F(LifeOfAContainer, WhatIsWrittenToStandardInputArrives) {
  CreateSandbox();
  ASSERT_TRUE(Create(ProbeSpec("one", {"cat"})));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(WriteAll(StdinOf("one").get(), "typed"));
  StdinOf("one").Reset();
  EXPECT_EQ(WaitExit("one").exit_code(), 0);
  EXPECT_EQ(Stdout("one"), "typed");
}

TEST_F(LifeOfAContainer, AnInvalidSpecNamesItsFieldAndLeavesNothing) {
  CreateSandbox();
  const struct {
    const char* field;
    void (*spoil)(spec::ContainerSpec&);
  } rows[] = {
      {"container_id", [](auto& spec) { spec.set_container_id("../x"); }},
      {"process.args", [](auto& spec) { spec.mutable_process()->clear_args(); }},
      {"process.cwd", [](auto& spec) { spec.mutable_process()->set_cwd("relative"); }},
      {"process.env", [](auto& spec) { spec.mutable_process()->add_env("NOVALUE"); }},
      {"rootfs", [](auto& spec) { spec.mutable_rootfs()->clear_lower_directories(); }},
      {"mounts[0].container_path",
       [](auto& spec) {
         spec.add_mounts()->set_container_path("relative");
         spec.mutable_mounts(0)->set_host_path("/tmp");
       }},
      {"mounts[0].container_path",
       [](auto& spec) {
         spec.add_mounts()->set_container_path("/proc/sys");
         spec.mutable_mounts(0)->set_host_path("/tmp");
       }},
      {"devices[0].host_path",
       [](auto& spec) { spec.add_devices()->set_host_path("/dev/no-such-device"); }},
      {"pid_target",
       [](auto& spec) {
         spec.set_pid(spec::TARGET);
         spec.set_pid_target("nobody");
       }},
      {"privileged", [](auto& spec) { spec.set_privileged(true); }},
      {"nobody-has-this-name",
       [](auto& spec) {
         spec.mutable_process()->mutable_user()->set_user("nobody-has-this-name");
       }},
  };
  for (const auto& row : rows) {
    auto spec = ProbeSpec("one", {"exit:0"});
    row.spoil(spec);
    auto created = Create(spec);
    ASSERT_FALSE(created) << row.field;
    EXPECT_NE(created.error().message.find(row.field), std::string::npos)
        << row.field << " is not named: " << created.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "data/one")) << row.field;
    EXPECT_FALSE(CgroupTree::Open().value()->Exists("/catamaran-test/" + pod_id_ + "/one"))
        << row.field;
    EXPECT_EQ(List().containers_size(), 0) << row.field;
  }
}

}  // namespace
}  // namespace catamaran
