// Sandboxes with a user namespace of their own.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/kernel/mounts.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kFirst = 100000, kLength = 65536;

void Map(google::protobuf::RepeatedPtrField<spec::IdMapping>* mappings, uint32_t host_id,
         uint32_t length = kLength) {
  auto* range = mappings->Add();
  range->set_host_id(host_id);
  range->set_length(length);
}

class UserNamespaces : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    // Images of these tests are folders.
    const auto users = MakeUserNamespace(Maps());
    ASSERT_TRUE(users) << users.error().message;
    const auto copy = CloneMount(AT_FDCWD, folder_, Recursion::kOne);
    ASSERT_TRUE(copy) << copy.error().message;
    if (auto mapped = IdMapMount(copy->get(), users->get(), Recursion::kOne); !mapped)
      GTEST_SKIP() << "this kernel cannot id-map the file system of " << folder_ << ": "
                   << mapped.error().message;
  }

  static IdMaps Maps() { return {"0 100000 65536\n", "0 100000 65536\n"}; }
  spec::SandboxSpec Mapped(spec::NamespaceMode pid = spec::CONTAINER) {
    auto spec = SandboxSpec();
    Map(spec.mutable_user_namespace()->mutable_uids(), kFirst);
    Map(spec.mutable_user_namespace()->mutable_gids(), kFirst);
    spec.set_network_namespace(MakeNetworkNamespace(Maps()));
    spec.set_pid(pid);
    return spec;
  }
  // A folder with a file that only the machine's root may read.
  fs::path Volume() {
    const fs::path folder = folder_ / "volume";
    fs::create_directories(folder);
    std::ofstream(folder / "secret") << "secret";
    EXPECT_EQ(chmod((folder / "secret").c_str(), 0600), 0);
    return folder;
  }
  static spec::Mount* AddVolume(spec::ContainerSpec& spec, const fs::path& folder,
                                bool mapped = true) {
    auto* mount = spec.add_mounts();
    mount->set_container_path("/v");
    mount->set_host_path(folder);
    if (!mapped) return mount;
    Map(mount->mutable_uid_mappings(), kFirst);
    Map(mount->mutable_gid_mappings(), kFirst);
    return mount;
  }
  static struct stat StatOf(const fs::path& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status;
  }
};

TEST_F(UserNamespaces, AContainersRootIsNobodyOnTheMachine) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"ids",
                                "caps",
                                "fds",
                                "pid",
                                "session",
                                "read:/proc/self/uid_map",
                                "stat:/",
                                "stat:/probe",
                                "stat:/etc/hosts",
                                "stat:/dev/null",
                                "stat:/dev/shm",
                                "stat:/dev/pts",
                                "stat:/dev/pts/ptmx",
                                "stat:/work",
                                "write:/etc/hosts:x",
                                "write:/file:x",
                                "write:/dev/shm/x:x",
                                "open-write:/dev/null",
                                "chown:/file:7:8",
                                "stat:/file",
                                "mknod:/dev/mine:1:1",
                                "stdout-again"});
  spec.mutable_process()->set_cwd("/work");
  auto report = Run(spec);
  EXPECT_EQ(report["ids"], "0,0,0:0,0,0:0");
  EXPECT_EQ(report["CapEff"], "00000000a80425fb");
  EXPECT_EQ(report["fds"], "0,1,2");
  EXPECT_EQ(report["pid"], "1");
  EXPECT_EQ(report["session"], "1");
  EXPECT_EQ(report["read /proc/self/uid_map"], "         0     100000      65536");
  for (const char* ours : {"stat /", "stat /probe", "stat /etc/hosts", "stat /dev/null",
                           "stat /dev/shm", "stat /dev/pts", "stat /dev/pts/ptmx", "stat /work"})
    EXPECT_NE(report[ours].find(" 0:0 "), std::string::npos) << ours << ": " << report[ours];
  EXPECT_EQ(report["stat /dev/null"], "char 666 0:0 1:3");
  for (const char* done : {"write /etc/hosts", "write /file", "write /dev/shm/x",
                           "open-write /dev/null", "chown /file", "stdout-again"})
    EXPECT_EQ(report[done], "ok") << done;
  EXPECT_EQ(report["stat /file"], "file 644 7:8 0:0");
  EXPECT_EQ(report["mknod /dev/mine"], "EPERM");
  const auto file = StatOf(folder_ / "data/one/upper/file");
  EXPECT_EQ(file.st_uid, kFirst + 7);
  EXPECT_EQ(file.st_gid, kFirst + 8);
}

TEST_F(UserNamespaces, EveryNamespaceOfThePodIsOwnedByIt) {
  CreateSandbox(Mapped());
  StartForever("one");
  const auto pid = List().containers(0).pid();
  const auto path = [pid](const char* name) { return fmt::format("/proc/{}/ns/{}", pid, name); };
  const auto users = StatOf(path("user"));
  EXPECT_NE(users.st_ino, StatOf("/proc/self/ns/user").st_ino);
  for (const char* name : {"net", "ipc", "uts", "mnt", "pid"}) {
    const auto made = OpenFile(path(name), O_RDONLY).value();
    const auto owner = OwnerOfNamespace(made.get());
    ASSERT_TRUE(owner) << name;
    struct stat status;
    ASSERT_EQ(fstat(owner->get(), &status), 0);
    EXPECT_EQ(status.st_ino, users.st_ino) << name;
  }
}

TEST_F(UserNamespaces, ProcessesAreSharedAsAsked) {
  CreateSandbox(Mapped(spec::POD));
  StartForever("alone");
  for (const auto& [mode, id] : {std::pair(spec::POD, "shared"), {spec::TARGET, "debug"}}) {
    auto spec = ProbeSpec(id, {"pid", "ns:pid", "ns:user", "read:/proc/1/comm", "exit:7"});
    spec.set_pid(mode);
    if (mode == spec::TARGET) spec.set_pid_target("alone");
    ASSERT_TRUE(Create(spec)) << id;
    ASSERT_TRUE(Start(id)) << id;
    EXPECT_EQ(WaitExit(id).exit_code(), 7);
    auto report = ParseReport(Stdout(id));
    EXPECT_NE(report["pid"], "1") << id;
    EXPECT_EQ(report["read /proc/1/comm"], mode == spec::POD ? "pod-init" : "probe");
  }
}

TEST_F(UserNamespaces, ExecsAndTerminalsWork) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"tty", "wait-file:/go"});
  spec.mutable_process()->set_terminal(true);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  ASSERT_TRUE(Exec("one", "plain", {"/probe", "ids", "fds", "stdout-again", "write:/made:x"}));
  EXPECT_EQ(WaitExit("one", "plain").exit_code(), 0);
  auto report = ParseReport(Stdout("one", "plain"));
  EXPECT_EQ(report["ids"], "0,0,0:0,0,0:0");
  EXPECT_EQ(report["fds"], "0,1,2");
  EXPECT_EQ(report["stdout-again"], "ok");
  EXPECT_EQ(report["write /made"], "ok");
  EXPECT_EQ(StatOf(folder_ / "data/one/upper/made").st_uid, kFirst);
  ASSERT_TRUE(Exec("one", "tty", {"/probe", "tty", "write:/go:x"}, /*terminal=*/true));
  EXPECT_EQ(WaitExit("one", "tty").exit_code(), 0);
  auto terminal = ParseReport(Stdout("one", "tty"));
  EXPECT_EQ(terminal["tty"], "/dev/pts/1");
  EXPECT_EQ(terminal["controlling"], "ok");
  WaitExit("one");
  EXPECT_EQ(ParseReport(Stdout("one"))["tty"], "/dev/pts/0");
}

TEST_F(UserNamespaces, AUserOtherThanRootMayUseItsStreams) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"ids", "stdout-again", "caps"});
  spec.mutable_process()->mutable_user()->set_user("1000:1001");
  auto report = Run(spec);
  EXPECT_EQ(report["ids"], "1000,1000,1000:1001,1001,1001:1001");
  EXPECT_EQ(report["stdout-again"], "ok");
  EXPECT_EQ(report["CapEff"], "0000000000000000");
}

TEST_F(UserNamespaces, AUserThatIsNotMappedIsRefusedByName) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"ids"});
  spec.mutable_process()->mutable_user()->set_user("70000");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(created.error().message.find("uid 70000 is not mapped"), std::string::npos)
      << created.error().message;
  auto groups = ProbeSpec("two", {"ids"});
  groups.mutable_process()->mutable_user()->add_supplemental_groups(80000);
  EXPECT_FALSE(Create(groups));
}

TEST_F(UserNamespaces, AVolumesFilesAreTheContainersWhereMappedAndNobodysElse) {
  CreateSandbox(Mapped());
  const fs::path folder = Volume();
  auto mapped = ProbeSpec("mapped", {"stat:/v/secret", "read:/v/secret", "write:/v/made:x"});
  AddVolume(mapped, folder);
  auto report = Run(mapped);
  EXPECT_EQ(report["stat /v/secret"], "file 600 0:0 0:0");
  EXPECT_EQ(report["read /v/secret"], "secret");
  EXPECT_EQ(report["write /v/made"], "ok");
  EXPECT_EQ(StatOf(folder / "made").st_uid, 0U);

  auto plain = ProbeSpec("plain", {"stat:/v/secret", "read:/v/secret", "write:/v/secret:x",
                                   "write:/v/other:x", "chown:/v/secret:0:0"});
  AddVolume(plain, folder, /*mapped=*/false);
  report = Run(plain);
  EXPECT_EQ(report["stat /v/secret"], "file 600 65534:65534 0:0");
  EXPECT_EQ(report["read /v/secret"], "EACCES");
  EXPECT_EQ(report["write /v/secret"], "EACCES");
  EXPECT_EQ(report["write /v/other"], "EACCES");
  EXPECT_EQ(report["chown /v/secret"], "EPERM");
}

TEST_F(UserNamespaces, AVolumeMayHaveMapsOfItsOwn) {
  CreateSandbox(Mapped());
  auto spec = ProbeSpec("one", {"stat:/v", "stat:/v/secret"});
  auto* mount = AddVolume(spec, Volume(), /*mapped=*/false);
  Map(mount->mutable_uid_mappings(), kFirst + 1000, 10);
  Map(mount->mutable_gid_mappings(), kFirst + 2000, 10);
  EXPECT_EQ(Run(spec)["stat /v/secret"], "file 600 1000:2000 0:0");
}

TEST_F(UserNamespaces, NoCapabilityTakesAMountOffOrMakesItWritable) {
  auto sandbox = Mapped();
  sandbox.set_privileged(true);
  CreateSandbox(sandbox);
  auto spec =
      ProbeSpec("one", {"remount-writable:/v", "write:/v/made:x", "umount:/v", "umount:/etc/hosts",
                        "umount:/proc/timer_list", "umount:/proc", "umount:/dev", "stat:/etc/hosts",
                        "mkdir:/mine", "mount-tmpfs:/mine", "mount-proc:/mine",
                        "write:/proc/sys/net/ipv4/ip_forward:1"});
  spec.mutable_process()->mutable_capabilities()->set_all(true);
  spec.add_masked_paths("/proc/timer_list");
  spec.add_readonly_paths("/proc/sys");
  AddVolume(spec, Volume())->set_readonly(true);
  auto report = Run(spec);
  EXPECT_EQ(report["remount-writable /v"], "EPERM");
  EXPECT_EQ(report["write /v/made"], "EROFS");
  for (const char* path : {"/v", "/etc/hosts", "/proc/timer_list", "/proc", "/dev"})
    EXPECT_EQ(report[std::string("umount ") + path], "EINVAL") << path;
  EXPECT_EQ(report["write /proc/sys/net/ipv4/ip_forward"], "EROFS");
  EXPECT_EQ(report["mount-tmpfs"], "ok") << "what it mounts itself is its own affair";
  EXPECT_EQ(report["mount-proc"], "EPERM") << "a second /proc would have nothing masked";
}

TEST_F(UserNamespaces, NoCapabilityLooksIntoWhatIsOfTheEngine) {
  auto sandbox = Mapped(spec::POD);
  sandbox.set_privileged(true);
  CreateSandbox(sandbox);
  // It waits for its start with the engine's memory.
  auto waiting = ProbeSpec("waiting", {"ids"});
  waiting.set_pid(spec::POD);
  ASSERT_TRUE(Create(waiting));
  auto spec = ProbeSpec("one", {"pry"});
  spec.set_pid(spec::POD);
  spec.mutable_process()->mutable_capabilities()->set_all(true);
  EXPECT_EQ(Run(spec)["pry"], "2 seen, 0 traced, 0 opened") << "the pod's init is the other one";
}

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

}  // namespace
}  // namespace catamaran
