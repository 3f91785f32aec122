// What a container sees of files: root file system, /dev, /proc, mounts.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Filesystem : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (!HasFatalFailure()) pod_ = RunPod();
  }
  v1::ContainerConfig Shell(const std::string& script) {
    return ShellConfig("c" + std::to_string(++count_), script);
  }
  Ended Run(const v1::ContainerConfig& config) { return RunToEnd(pod_, config); }
  Ended Run(const std::string& script) { return Run(Shell(script)); }

  std::string FolderWith(const std::string& file, const std::string& content) {
    const std::string folder = world().NewFolder("volume");
    std::ofstream(folder + "/" + file) << content;
    return folder;
  }

  std::string pod_;
  int count_ = 0;
};

TEST_P(Filesystem, IsWritableAndEachContainersOwn) {
  EXPECT_EQ(Run("echo mine > /file && cat /file").out, "mine\n");
  EXPECT_EQ(Run("cat /file 2>/dev/null || echo absent").out, "absent\n");
}

TEST_P(Filesystem, ReadOnlyRootRefusesWritesButDevWorks) {
  auto config = Shell(
      "touch /file 2>/dev/null || echo refused; echo x > /dev/null && echo null; "
      "touch /dev/shm/x && echo shm");
  config.mutable_linux()->mutable_security_context()->set_readonly_rootfs(true);
  EXPECT_EQ(Run(config).out, "refused\nnull\nshm\n");
}

TEST_P(Filesystem, DevHasTheUsualDevices) {
  EXPECT_EQ(Run("for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; "
                "done; for l in fd stdin stdout stderr ptmx; do test -L /dev/$l || test -c "
                "/dev/$l || echo no $l; done; test -d /dev/pts && test -d /dev/shm && test -d "
                "/dev/mqueue && echo folders; head -c 4 /dev/urandom | wc -c; echo x > /dev/full "
                "2>/dev/null || echo full")
                .out,
            "folders\n4\nfull\n");
}

TEST_P(Filesystem, SharedMemoryIsThePods) {
  const std::string first = StartSleeper(pod_, "first"), second = StartSleeper(pod_, "second");
  Output(first, "echo shared > /dev/shm/file");
  EXPECT_EQ(Output(second, "cat /dev/shm/file"), "shared\n");
  EXPECT_NE(Output(first, "grep ' /dev/shm ' /proc/mounts").find("nosuid,nodev,noexec"),
            std::string::npos);
}

TEST_P(Filesystem, MaskedAndReadOnlyPathsAreSo) {
  auto config = Shell(
      "ls /sys/firmware; wc -c < /proc/timer_list; "
      "echo x 2>/dev/null > /proc/sys/kernel/hostname; echo $?");
  auto* context = config.mutable_linux()->mutable_security_context();
  for (const char* path : {"/sys/firmware", "/proc/timer_list", "/proc/kcore", "/proc/absent"}) {
    context->add_masked_paths(path);
  }
  context->add_readonly_paths("/proc/sys");
  EXPECT_EQ(Run(config).out, "0\n1\n");
}

TEST_P(Filesystem, SysIsReadOnlyAndProcIsThePodsOwn) {
  EXPECT_EQ(Run("echo x 2>/dev/null > /sys/x || echo refused").out, "refused\n");
  EXPECT_EQ(Run("set -- /proc/[0-9]*; echo $#").out, "1\n");  // nothing of the host
}

TEST_P(Filesystem, FoldersOfTheHostAreMountedReadWrite) {
  const std::string folder = FolderWith("in", "from the host\n");
  auto config = Shell(
      "cat /volume/in; echo from the container > /volume/out; "
      "mkdir -p /volume/a/b && mv /volume/a /volume/c && ls /volume");
  AddMount(config, folder, "/volume");
  EXPECT_EQ(Run(config).out, "from the host\nc\nin\nout\n");
  auto out = ReadFile(folder + "/out");
  EXPECT_EQ(out ? *out : out.error().message, "from the container\n");
  EXPECT_TRUE(Exists(folder + "/c/b"));
}

TEST_P(Filesystem, ReadOnlyMountsRefuseWrites) {
  const std::string folder = FolderWith("in", "content\n");
  auto config = Shell("cat /volume/in; echo x 2>/dev/null > /volume/out || echo refused");
  AddMount(config, folder, "/volume")->set_readonly(true);
  EXPECT_EQ(Run(config).out, "content\nrefused\n");
  EXPECT_FALSE(Exists(folder + "/out"));
}

// KEP-3857: what is mounted below the folder too, before or after the container's start.
TEST_P(Filesystem, RecursivelyReadOnlyMountsRefuseWritesBelowTooAndShowNothingNew) {
  const std::string folder = world().NewFolder("tree");
  ASSERT_EQ(mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr), 0);
  Cleanup unmount([folder] { umount2(folder.c_str(), MNT_DETACH); });
  ASSERT_EQ(mount(nullptr, folder.c_str(), nullptr, MS_SHARED, nullptr), 0);
  for (const char* name : {"/below", "/later"}) ASSERT_EQ(mkdir((folder + name).c_str(), 0755), 0);
  ASSERT_EQ(mount("tmpfs", (folder + "/below").c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(folder + "/below/file") << "read\n";
  auto config = Shell("sleep 1000");
  v1::Mount* tree = AddMount(config, folder, "/tree");
  tree->set_readonly(true);
  tree->set_recursive_read_only(true);
  const std::string id = CreateAndStart(pod_, config);
  EXPECT_TRUE(StatusOf(id).mounts(0).recursive_read_only());
  EXPECT_EQ(Output(id,
                   "cat /tree/below/file; for f in /tree/x /tree/below/x; do touch $f "
                   "2>/dev/null || echo refused; done"),
            "read\nrefused\nrefused\n");
  ASSERT_EQ(mount("tmpfs", (folder + "/later").c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_EQ(Output(id, "touch /tree/later/x 2>/dev/null || echo refused"), "refused\n");
  EXPECT_FALSE(Exists(folder + "/later/x"));
  StopAndRemovePod(pod_);
  for (const char* name : {"/below", "/later"}) umount2((folder + name).c_str(), MNT_DETACH);
}

TEST_P(Filesystem, MountOptionsHold) {
  const std::string folder = FolderWith("program", "#!/bin/sh\necho ran\n");
  ASSERT_EQ(chmod((folder + "/program").c_str(), 0755), 0);
  ASSERT_EQ(mknod((folder + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  auto config = Shell(
      "/plain/program; /data/program 2>/dev/null || echo refused; echo x > /data/null || true; "
      "grep -o ' /data .*nosuid' /proc/mounts | grep -o nosuid");
  AddMount(config, folder, "/plain");
  v1::Mount* data = AddMount(config, folder, "/data");
  for (const char* option : {"noexec", "nodev", "nosuid"}) data->add_mount_options(option);
  const Ended ended = Run(config);
  EXPECT_EQ(ended.out, "ran\nrefused\nnosuid\n");
  EXPECT_NE(ended.err.find("ermission denied"), std::string::npos) << ended.err;
}

TEST_P(Filesystem, ASingleFileIsMountedAsTheTerminationLogIs) {
  const std::string folder = FolderWith("termination", "");
  ASSERT_EQ(chmod((folder + "/termination").c_str(), 0666), 0);
  auto config = Shell("echo last words > /dev/termination-log");
  AddMount(config, folder + "/termination", "/dev/termination-log");
  EXPECT_EQ(Run(config).exit_code, 0);
  auto words = ReadFile(folder + "/termination");
  EXPECT_EQ(words ? *words : words.error().message, "last words\n");
}

TEST_P(Filesystem, TwoContainersShareAVolume) {
  const std::string folder = world().NewFolder("volume");
  auto writer = Shell("echo shared > /data/file; sync");
  AddMount(writer, folder, "/data");
  auto reader = Shell("cat /elsewhere/file");
  AddMount(reader, folder, "/elsewhere");
  EXPECT_EQ(Run(writer).exit_code, 0);
  EXPECT_EQ(Run(reader).out, "shared\n");
}

TEST_P(Filesystem, MountsAreReportedInTheStatus) {
  const std::string folder = world().NewFolder("volume");
  auto config = Shell("true");
  AddMount(config, folder, "/data")->set_readonly(true);
  const std::string id = Create(pod_, config);
  const auto status = StatusOf(id);
  ASSERT_EQ(status.mounts_size(), 1);
  EXPECT_EQ(status.mounts(0).host_path(), folder);
  EXPECT_EQ(status.mounts(0).container_path(), "/data");
  EXPECT_TRUE(status.mounts(0).readonly());
}

TEST_P(Filesystem, AMountPointNeverLeavesTheRootFileSystem) {
  const std::string folder = FolderWith("file", "inside\n");
  auto config = Shell("true");
  AddMount(config, folder, "/bin/../../../../mnt/catamaran-outside");
  auto created = TryCreate(pod_, config);
  if (!created.ok()) {
    EXPECT_EQ(created.code(), ErrorCode::kInvalidArgument) << created.message();
  }
  EXPECT_FALSE(Exists("/mnt/catamaran-outside"));
}

TEST_P(Filesystem, MountsThatTheHostMakesLaterArePropagatedWhenAsked) {
  if (on_vm()) GTEST_SKIP() << "a guest has a mount tree of its own";
  const std::string folder = world().NewFolder("shared");
  ASSERT_EQ(mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr), 0);
  Cleanup unmount([folder] { umount2(folder.c_str(), MNT_DETACH); });
  ASSERT_EQ(mount(nullptr, folder.c_str(), nullptr, MS_SHARED, nullptr), 0);
  ASSERT_EQ(mkdir((folder + "/later").c_str(), 0755), 0);
  auto config = Shell("sleep 1000");
  AddMount(config, folder, "/slave")->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  AddMount(config, folder, "/private");
  const std::string id = CreateAndStart(pod_, config);
  ASSERT_EQ(mount("tmpfs", (folder + "/later").c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(folder + "/later/seen") << "x";
  EXPECT_EQ(Output(id, "ls /slave/later"), "seen\n");
  EXPECT_EQ(Output(id, "ls /private/later"), "");
  ASSERT_EQ(umount((folder + "/later").c_str()), 0);
  EXPECT_EQ(Output(id, "ls /slave/later"), "");
  StopAndRemovePod(pod_);
}

TEST_P(Filesystem, BidirectionalMountsShowOnTheHostAndAreRefusedByAVm) {
  const std::string folder = world().NewFolder("shared");
  ASSERT_EQ(mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr), 0);
  Cleanup unmount([folder] { umount2(folder.c_str(), MNT_DETACH); });
  ASSERT_EQ(mount(nullptr, folder.c_str(), nullptr, MS_SHARED, nullptr), 0);
  ASSERT_EQ(mkdir((folder + "/inner").c_str(), 0755), 0);
  auto pod_config = PodConfig("privileged");
  pod_config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string pod = RunPod(pod_config);
  auto config =
      ShellConfig("main", "mount -t tmpfs none /v/inner && touch /v/inner/made && sleep 1000");
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  AddMount(config, folder, "/v")->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  auto created = TryCreate(pod, config);
  if (on_vm()) {
    EXPECT_FALSE(created.ok()) << "a VM cannot mount on the host";
    return;
  }
  ASSERT_TRUE(created.ok()) << created.message();
  v1::StartContainerRequest request;
  request.set_container_id(created->container_id());
  ASSERT_TRUE(cri().StartContainer(request).ok());
  EXPECT_TRUE(WaitUntil([&] { return Exists(folder + "/inner/made"); }));
  StopAndRemovePod(pod);
  umount2((folder + "/inner").c_str(), MNT_DETACH);
}

CATAMARAN_ON_EVERY_HANDLER(Filesystem);

}  // namespace
}  // namespace catamaran::e2e
