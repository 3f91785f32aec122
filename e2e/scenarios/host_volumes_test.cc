// Folders and devices of the host, read-only and read-write, for any user.
#include <signal.h>
#include <sys/stat.h>

#include <map>
#include <sstream>

#include "e2e/harness/processes.h"
#include "e2e/scenarios/volumes_test.h"
#include "sandbox/base/files.h"
#include "vm-backend/volumes/atomic_writer_testing.h"

namespace catamaran::e2e {
namespace {

class HostVolumes : public VolumeTest {
 protected:
  static std::string OwnerOf(const std::string& path) {
    struct stat status;
    if (lstat(path.c_str(), &status) != 0) return strerror(errno);
    return fmt::format("{:o} {} {}", status.st_mode & 07777, status.st_uid, status.st_gid);
  }
};

// What differs from the host's own file systems, and why: libfuse has no operation for unnamed
// files (programs fall back to a name), file capabilities and device nodes would be the host's, and
// a file of the host's gives nobody in a guest another user (nosuid).
const std::map<std::string, std::string> kUnlikeTheHosts = {
    {"O_TMPFILE", "Operation not supported"},
    {"security.capability", "Operation not supported"},
    {"device nodes", "Operation not permitted"},
    {"set-id programs", "Operation not permitted"},
};

TEST_P(HostVolumes, CanWhatFileSystemsCan) {
  const std::string folder = VolumeFolder("local-volume", "pv");
  auto config = ContainerConfig("features", {"/bin/probe", "features", "/data"});
  AddMount(config, folder, "/data");
  const Ended ended = RunToEnd(pod_, config);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  std::istringstream lines(ended.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const size_t colon = line.find(": ");
    ASSERT_NE(colon, std::string::npos) << line;
    const auto other = kUnlikeTheHosts.find(line.substr(0, colon));
    const bool differs = on_vm() && other != kUnlikeTheHosts.end();
    EXPECT_EQ(line.substr(colon + 2), differs ? other->second : "ok") << line;
  }
  EXPECT_GT(count, 45);
}

TEST_P(HostVolumes, NewFilesBelongToWhoMadeThemAndOwnersCanBeChanged) {
  const std::string folder = world().NewFolder("volume");
  ASSERT_EQ(chmod(folder.c_str(), 0777), 0);
  for (const int64_t uid : {0, 1234, 65534, 2000000000}) {
    auto config = Shell(fmt::format(
        "umask 027; touch /v/f{0}; mkdir /v/d{0}; ln -s x /v/l{0}; mkfifo /v/p{0}", uid));
    RunAs(config, uid, uid);
    AddMount(config, folder, "/v");
    const Ended ended = RunToEnd(pod_, config);
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_EQ(OwnerOf(fmt::format("{}/f{}", folder, uid)), fmt::format("640 {0} {0}", uid));
    EXPECT_EQ(OwnerOf(fmt::format("{}/d{}", folder, uid)), fmt::format("750 {0} {0}", uid));
    EXPECT_EQ(OwnerOf(fmt::format("{}/l{}", folder, uid)), fmt::format("777 {0} {0}", uid));
    EXPECT_EQ(OwnerOf(fmt::format("{}/p{}", folder, uid)), fmt::format("640 {0} {0}", uid));
  }
  auto config =
      Shell("chown 4321:8765 /v/f0 && chmod 4711 /v/f0 && chown -h 5:6 /v/l0; rm /v/f1234");
  AddMount(config, folder, "/v");
  EXPECT_EQ(RunToEnd(pod_, config).exit_code, 0);
  EXPECT_EQ(OwnerOf(folder + "/f0"), "4711 4321 8765");
  EXPECT_EQ(OwnerOf(folder + "/l0"), "777 5 6");
  EXPECT_FALSE(Exists(folder + "/f1234"));
}

TEST_P(HostVolumes, OthersFilesAreKeptFromAUserWhateverTheVolume) {
  const std::string folder = world().NewFolder("volume");
  WriteFile(folder + "/secret", "secret");
  ASSERT_EQ(chmod((folder + "/secret").c_str(), 0600), 0);
  auto config = Shell("cat /v/secret || echo denied; touch /v/new || echo denied");
  RunAs(config, 1234, 1234);
  AddMount(config, folder, "/v");
  EXPECT_EQ(RunToEnd(pod_, config).out, "denied\ndenied\n");
}

TEST_P(HostVolumes, ReadOnlyIsTheHostsWordNotTheGuests) {
  if (!on_vm()) GTEST_SKIP() << "a privileged container may remount what its own kernel mounted";
  const std::string folder = world().NewFolder("volume");
  WriteFile(folder + "/file", "content");
  auto privileged = PodConfig("privileged");
  privileged.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string pod = RunPod(privileged);
  auto config = Shell(
      "mount -o remount,rw,bind /v && grep -q ' /v .*rw' /proc/mounts && echo writable; "
      "echo x > /v/new || echo refused; echo x >> /v/file || echo refused; rm /v/file || echo "
      "refused; chmod 777 /v/file || echo refused; mv /v/file /v/other || echo refused");
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  AddMount(config, folder, "/v")->set_readonly(true);
  EXPECT_EQ(RunToEnd(pod, config).out, "writable\nrefused\nrefused\nrefused\nrefused\nrefused\n");
  EXPECT_EQ(ListDirectory(folder).value(), std::vector<std::string>{"file"});
  auto content = ReadFile(folder + "/file");
  EXPECT_EQ(content ? *content : content.error().message, "content");
}

TEST_P(HostVolumes, ASubPathIsAllThatAContainerSees) {
  const std::string folder = VolumeFolder("local-volume", "data");
  Made(folder + "/mine/below");
  WriteFile(folder + "/mine/below/file", "mine");
  WriteFile(folder + "/theirs", "theirs");
  const std::string part = SubPath(folder + "/mine", "data", 0);
  const std::string file = SubPath(folder + "/mine/below/file", "data", 1);
  auto config =
      Shell("cat /v/below/file /one; ls /v /v/..; echo changed > /one; sleep 2; cat /v/below/file");
  AddMount(config, part, "/v");
  AddMount(config, file, "/one");
  const Ended ended = RunToEnd(pod_, config);
  EXPECT_EQ(ended.out.find("theirs"), std::string::npos) << ended.out;
  EXPECT_TRUE(ended.out.starts_with("minemine")) << ended.out;
  EXPECT_TRUE(ended.out.ends_with("changed\n")) << ended.out;
}

TEST_P(HostVolumes, AKilledVolumeServerComesBackAndProgramsGoOn) {
  if (!on_vm()) GTEST_SKIP() << "there is none";
  const std::string folder = world().NewFolder("volume");
  AtomicWriter writer(VolumeFolder("configmap", "config"));
  writer.Write({{"key", {"old"}}});
  // An error while it is away may come; the next try is served.
  auto config = Shell(
      "cd /v; i=0; while [ $i -lt 300 ]; do if echo $i > f$i && [ \"$(cat /v/f$i)\" = $i ]; then "
      "i=$((i+1)); else sleep 0.1; fi; done 2>/dev/null; echo complete; sleep 100000");
  AddMount(config, folder, "/v");
  AddMount(config, writer.folder(), "/etc/config")->set_readonly(true);
  const std::string id = CreateAndStart(pod_, config);
  pid_t before = 0;
  for (int round = 0; round < 3; ++round) {
    const std::string reached = fmt::format("{}/f{}", folder, 30 + 60 * round);
    ASSERT_TRUE(WaitUntil([&] { return Exists(reached); })) << reached;
    const pid_t server = FindPodProcess(pod_, "catamaran-vols");
    ASSERT_GT(server, 0);
    EXPECT_NE(server, before);
    ASSERT_EQ(kill(server, SIGKILL), 0);
    before = server;
  }
  ASSERT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout") == "complete\n"; }));
  for (int i = 0; i < 300; ++i) {
    auto content = ReadFile(fmt::format("{}/f{}", folder, i));
    EXPECT_EQ(content ? *content : content.error().message, std::to_string(i) + "\n");
  }
  writer.Write({{"key", {"new"}}});
  EXPECT_TRUE(WaitUntil([&] { return Output(id, "cat /etc/config/key") == "new"; }));
}

CATAMARAN_ON_EVERY_HANDLER(HostVolumes);

// Block volumes, as the kubelet gives them: a loop device over a file of the test's own.
class BlockVolumes : public VolumeTest {
 protected:
  void SetUp() override {
    VolumeTest::SetUp();
    if (HasFatalFailure()) return;
    file_ = world().NewFolder("block") + "/disk";
    WriteFile(file_, "on the disk\n");
    std::filesystem::resize_file(file_, 8 << 20);
    auto attached = RunProgram({"/sbin/losetup", "--find", "--show", file_});
    ASSERT_EQ(attached.exit_code, 0) << attached.output;
    device_ = attached.output.substr(0, attached.output.find('\n'));
    // A node of its own: /dev is everybody's.
    struct stat status;
    ASSERT_EQ(stat(device_.c_str(), &status), 0);
    node_ = world().NewFolder("nodes") + "/disk";
    ASSERT_EQ(mknod(node_.c_str(), S_IFBLK | 0660, status.st_rdev), 0);
    ASSERT_EQ(chmod(node_.c_str(), 0664), 0);
    ASSERT_EQ(chown(node_.c_str(), 1234, 2000), 0);
  }
  void TearDown() override {
    VolumeTest::TearDown();
    if (device_.empty()) return;
    EXPECT_EQ(RunProgram({"/sbin/losetup", "-d", device_}).exit_code, 0);
  }
  v1::ContainerConfig With(const std::string& script, const std::string& permissions) {
    auto config = Shell(script);
    auto* device = config.add_devices();
    device->set_host_path(node_);
    device->set_container_path("/dev/xvda");
    device->set_permissions(permissions);
    return config;
  }

  std::string file_, device_, node_;
};

TEST_P(BlockVolumes, AreWrittenAndReadWhereTheyWereAskedFor) {
  const Ended ended = RunToEnd(
      pod_, With("head -c 12 /dev/xvda; stat -c '%a %u %g' /dev/xvda; blockdev --getsize64 "
                 "/dev/xvda; echo from the container | dd of=/dev/xvda bs=4096 seek=1 conv=sync "
                 "2>/dev/null && sync && echo written",
                 "mrw"));
  EXPECT_EQ(ended.out, "on the disk\n664 1234 2000\n8388608\nwritten\n") << ended.err;
  RunProgram({"/sbin/blockdev", "--flushbufs", device_});
  auto content = ReadFile(file_, 16 << 20);
  ASSERT_TRUE(content) << content.error().message;
  EXPECT_EQ(content->substr(4096, 18), "from the container");
}

TEST_P(BlockVolumes, ReadOnlyOnesAreNotWritten) {
  EXPECT_EQ(RunToEnd(pod_, With("head -c 12 /dev/xvda; echo x 2>/dev/null > /dev/xvda || echo "
                                "refused",
                                "mr"))
                .out,
            "on the disk\nrefused\n");
}

TEST_P(BlockVolumes, TwoContainersShareOneAndAThirdOneHasNone) {
  const std::string first = CreateAndStart(pod_, With("sleep 100000", "mrw"));
  const std::string second = CreateAndStart(pod_, With("sleep 100000", "mrw"));
  Output(first, "echo shared | dd of=/dev/xvda conv=notrunc,fsync 2>/dev/null");
  EXPECT_EQ(Output(second, "head -c 7 /dev/xvda"), "shared\n");
  EXPECT_EQ(RunToEnd(pod_, Shell("ls /dev/xvda 2>/dev/null || echo none")).out, "none\n");
}

TEST_P(BlockVolumes, ADeviceThatIsNoDiskIsRefusedByNameInAVm) {
  if (!on_vm()) GTEST_SKIP() << "a device of the host is a device here";
  auto config = Shell("true");
  config.add_devices()->set_host_path("/dev/null");
  auto created = TryCreate(pod_, config);
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(created.message().find("devices[0].host_path"), std::string::npos) << created.message();
}

CATAMARAN_ON_EVERY_HANDLER(BlockVolumes);

}  // namespace
}  // namespace catamaran::e2e
