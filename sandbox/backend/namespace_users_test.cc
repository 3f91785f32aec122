// Sandboxes with a user namespace of their own: who a container is, and what it may do to what.
#include <signal.h>

#include "sandbox/backend/user_namespace_fixture.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

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
  ASSERT_TRUE(Exec("one", "tty", {"/probe", "tty"}, /*terminal=*/true));
  EXPECT_EQ(WaitExit("one", "tty").exit_code(), 0);
  auto terminal = ParseReport(Stdout("one", "tty"));
  EXPECT_EQ(terminal["tty"], "/dev/pts/1");
  EXPECT_EQ(terminal["controlling"], "ok");
  // It may be killed with the first process, which ends as soon as it sees that.
  ASSERT_TRUE(Exec("one", "last", {"/probe", "write:/go:x"}));
  WaitExit("one", "last");
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

}  // namespace
}  // namespace catamaran
