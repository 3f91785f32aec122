// Sandboxes with a user namespace of their own: their limits, their network, failures and hooks.
#include <sched.h>
#include <signal.h>

#include "sandbox/backend/user_namespace_fixture.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

TEST_F(UserNamespaces, PortsAreDialledAsElsewhere) {
  CreateSandbox(Mapped());
  ASSERT_TRUE(Create(ProbeSpec("one", {"listen:8080"})));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "listen=ok");
  pod::DialPortRequest request;
  request.set_port(8080);
  auto socket = Complete<UniqueFd>(
      [&](Completion<UniqueFd> done) { backend_->DialPort(request, std::move(done)); });
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(WaitExit("one").exit_code(), 0);
}

TEST_F(UserNamespaces, LimitsHold) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"allocate:64"});
  spec.mutable_resources()->set_memory_limit_bytes(24 << 20);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  const auto exit = WaitExit("one");
  EXPECT_EQ(exit.signal(), SIGKILL);
  EXPECT_TRUE(exit.oom_killed());
  auto forks = ProbeSpec("two", {"forks:50"});
  forks.mutable_resources()->set_pids_limit(8);
  EXPECT_LT(atoi(Run(forks)["forks"].c_str()), 8);
  auto score = ProbeSpec("three", {"read:/proc/self/oom_score_adj"});
  score.mutable_process()->set_has_oom_score_adj(true);
  score.mutable_process()->set_oom_score_adj(321);
  EXPECT_EQ(Run(score)["read /proc/self/oom_score_adj"], "321");
}

TEST_F(UserNamespaces, SysctlsAreThePods) {
  auto sandbox = Mapped();
  (*sandbox.mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
  (*sandbox.mutable_sysctls())["fs.mqueue.msg_max"] = "77";
  (*sandbox.mutable_sysctls())["net.ipv4.tcp_keepalive_time"] = "777";
  CreateSandbox(sandbox);
  auto report = Run({"read:/proc/sys/kernel/shm_rmid_forced", "read:/proc/sys/fs/mqueue/msg_max",
                     "read:/proc/sys/net/ipv4/tcp_keepalive_time", "hostname"});
  EXPECT_EQ(report["read /proc/sys/kernel/shm_rmid_forced"], "1");
  EXPECT_EQ(report["read /proc/sys/fs/mqueue/msg_max"], "77");
  EXPECT_EQ(report["read /proc/sys/net/ipv4/tcp_keepalive_time"], "777");
  EXPECT_EQ(report["hostname"], "pod-host");
}

TEST_F(UserNamespaces, TheMachinesNetworkCanBeSharedAndNotChanged) {
  auto sandbox = Mapped();
  sandbox.set_network(spec::NODE);
  sandbox.clear_network_namespace();
  CreateSandbox(sandbox);
  auto spec = ProbeSpec("one", {"ns:net", "list:/sys/class/net", "mount-options:/sys",
                                "open-write:/proc/sys/net/ipv4/ip_forward"});
  auto report = Run(spec);
  char own[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/net", own, sizeof own - 1), 0);
  EXPECT_EQ(report["ns net"], own);
  EXPECT_NE(report["list /sys/class/net"].find("lo"), std::string::npos);
  EXPECT_EQ(report["mount-options /sys"].substr(0, 3), "ro,");
  EXPECT_EQ(report["open-write /proc/sys/net/ipv4/ip_forward"], "EACCES");
}

TEST_F(UserNamespaces, ANetworkThatIsNotItsOwnIsRefused) {
  auto machines = Mapped();
  machines.set_network_namespace(MakeNetworkNamespace());
  auto made = TryCreateSandbox(machines);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument) << made.error().message;
  auto others = Mapped();
  others.mutable_user_namespace()->mutable_uids(0)->set_host_id(200000);
  made = TryCreateSandbox(others);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::kFailedPrecondition) << made.error().message;
}

TEST_F(UserNamespaces, WhatFailsWhileItIsBuiltIsTold) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"ids"});
  AddVolume(spec, Volume() / "secret")->set_container_path("/etc");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message.find("mounts[0]"), std::string::npos)
      << created.error().message;
  auto absent = ProbeSpec("two", {});
  absent.mutable_process()->set_args(0, "/absent");
  ASSERT_TRUE(Create(absent));
  EXPECT_FALSE(Start("two"));
  EXPECT_EQ(Run({"pid"})["pid"], "1") << "and the sandbox goes on";
}

TEST_F(UserNamespaces, AreRefusedWithTheMachinesPidOrIpcNamespace) {
  auto spec = Mapped();
  spec.set_pid(spec::NODE);
  EXPECT_EQ(TryCreateSandbox(spec).error().code, ErrorCode::kInvalidArgument);
  spec = Mapped();
  spec.set_ipc(spec::NODE);
  EXPECT_EQ(TryCreateSandbox(spec).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(UserNamespaces, HooksRunWhereAndAsWhomTheirPointSays) {
  CreateSandbox(Mapped());
  const fs::path notes = Volume();
  ASSERT_EQ(chmod(notes.c_str(), 0777), 0);
  auto spec = ProbeSpec("one", {"echo:x"});
  AddVolume(spec, notes);
  const auto add = [&](spec::Hook* hook, const std::string& program, const std::string& note) {
    hook->set_path(program);
    for (const std::string& word :
         std::initializer_list<std::string>{"probe", "to:" + note, "ids", "hostname", "ns:user"})
      hook->add_args(word);
  };
  const std::string program = (MakeImage("probe") / "probe").string();
  add(spec.mutable_hooks()->add_create_runtime(), program, (notes / "runtime").string());
  add(spec.mutable_hooks()->add_create_container(), program, (notes / "container").string());
  add(spec.mutable_hooks()->add_start_container(), "/probe", "/v/start");
  add(spec.mutable_hooks()->add_poststop(), program, (notes / "stop").string());
  Run(spec);
  ASSERT_TRUE(Remove("one"));
  const auto note = [&](const char* name) {
    return ParseReport(ReadFile(notes / name).value_or(""));
  };
  const std::string own = fs::read_symlink("/proc/self/ns/user").string();
  for (const char* name : {"runtime", "container", "stop"}) {
    EXPECT_EQ(note(name)["ids"].substr(0, 6), "0,0,0:") << name;
    EXPECT_EQ(note(name)["ns user"], own) << name;
  }
  EXPECT_NE(note("runtime")["hostname"], "pod-host");
  EXPECT_EQ(note("container")["hostname"], "pod-host");
  EXPECT_EQ(note("start")["hostname"], "pod-host");
  EXPECT_EQ(note("start")["ids"].substr(0, 6), "0,0,0:");
  EXPECT_NE(note("start")["ns user"], own);
}

TEST_F(UserNamespaces, AHookThatFailsUndoesTheCreation) {
  CreateSandbox(Mapped());
  for (const bool machines : {true, false}) {
    auto spec = ProbeSpec(NextId(), {"echo:x"});
    auto* hook = machines ? spec.mutable_hooks()->add_prestart()
                          : spec.mutable_hooks()->add_create_container();
    hook->set_path((MakeImage("probe") / "probe").string());
    hook->add_args("probe");
    hook->add_args("exit:3");
    const auto created = Create(spec);
    ASSERT_FALSE(created);
    EXPECT_NE(created.error().message.find("exit status 3"), std::string::npos)
        << created.error().message;
  }
  EXPECT_EQ(List().containers_size(), 0);
}

TEST_F(UserNamespaces, AnImageThatCannotBeMountedIsTheErrorsSubject) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {});
  auto* image = spec.add_mounts();
  image->set_container_path("/image");
  image->set_readonly(true);
  image->mutable_image()->mutable_rootfs()->add_lower_directories(MakeImage("probe"));
  image->mutable_image()->set_sub_path("no/such/part");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().subject, ErrorSubject::kImageVolume) << created.error().message;
}

// What the container's own root could not give itself.
TEST_F(UserNamespaces, PrioritiesAreThoseOfTheMachine) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"priorities", "forever"});
  auto& process = *spec.mutable_process();
  process.mutable_io_priority()->set_kind(spec::IoPriority::REAL_TIME);
  process.mutable_io_priority()->set_level(3);
  process.mutable_scheduler()->set_policy(spec::Scheduler::BATCH);
  process.mutable_scheduler()->set_nice(-7);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "e", {"/probe", "priorities"}));
  WaitExit("one", "e");
  WaitForOutput("one", "scheduler=");
  ASSERT_TRUE(Signal("one", SIGKILL));
  WaitExit("one");
  for (const char* exec : {"", "e"}) {
    auto report = ParseReport(Stdout("one", exec));
    EXPECT_EQ(report["io-priority"], "1:3");
    EXPECT_EQ(report["scheduler"], "3 nice -7 priority 0 flags 0");
  }
}

}  // namespace
}  // namespace catamaran
