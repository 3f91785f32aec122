// Pods with users of their own (hostUsers: false): root in them is nobody on the node.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "e2e/harness/daemon.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr uint32_t kFirst = 1'000'000, kLength = 65536;

void AddRange(google::protobuf::RepeatedPtrField<v1::IDMapping>* mappings) {
  auto* range = mappings->Add();
  range->set_host_id(kFirst);
  range->set_length(kLength);
}

class UserNamespaces : public PodTest {
 protected:
  static v1::NamespaceOption* OptionsOf(v1::PodSandboxConfig& config) {
    return config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  }
  static v1::NamespaceOption* OptionsOf(v1::ContainerConfig& config) {
    return config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  }
  v1::PodSandboxConfig MappedConfig() {
    auto config = PodConfig("mapped");
    auto* users = OptionsOf(config)->mutable_userns_options();
    users->set_mode(v1::POD);
    AddRange(users->mutable_uids());
    AddRange(users->mutable_gids());
    return config;
  }
  std::string RunMapped() { return RunPod(MappedConfig()); }
  static v1::Mount* AddMapped(v1::ContainerConfig& config, const std::string& host,
                              const std::string& container) {
    auto* mount = AddMount(config, host, container);
    AddRange(mount->mutable_uidmappings());
    AddRange(mount->mutable_gidmappings());
    return mount;
  }
  v1::ContainerConfig Shell(const std::string& script) {
    return ShellConfig("c" + std::to_string(++count_), script);
  }
  static struct stat StatOf(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status;
  }
  // A file on the node as the kubelet or an administrator made it.
  static void Write(const std::string& path, const std::string& content, mode_t mode) {
    std::ofstream(path) << content;
    EXPECT_EQ(chmod(path.c_str(), mode), 0) << path;
  }
  // The number of a container's first process on the node.
  pid_t PidOf(const std::string& container) {
    v1::ContainerStatusRequest request;
    request.set_container_id(container);
    request.set_verbose(true);
    const auto info = cri().ContainerStatus(request)->info();
    // The configuration's "pid", which is there too, is a word.
    constexpr std::string_view kKey = "\"pid\":";
    for (const auto& [key, text] : info) {
      for (size_t at = 0; (at = text.find(kKey, at)) != std::string::npos; at += kKey.size())
        if (const pid_t pid = atoi(text.c_str() + at + kKey.size()); pid > 0) return pid;
    }
    ADD_FAILURE() << "no pid in the verbose status";
    return 0;
  }
  static ino_t OwnerOf(const std::string& path) {
    const auto made = OpenFile(path, O_RDONLY);
    EXPECT_TRUE(made) << path;
    const UniqueFd owner(made ? ioctl(made->get(), NS_GET_USERNS) : -1);
    struct stat status {};
    EXPECT_EQ(fstat(owner.get(), &status), 0) << path;
    return status.st_ino;
  }

  static bool IsOfVms(const std::string& handler) { return handler.starts_with(kVm); }

  // What doctor says of id-mapped mounts, which it tries with a tmpfs.
  bool CanMapTmpfs() {
    std::istringstream findings(RunProgram({ProgramFolder() + "/catamaran-shim", "probe", "--of",
                                            "ns", "--scratch", world().NewFolder("probe")})
                                    .output);
    for (std::string line; std::getline(findings, line);)
      if (line.find(R"("name":"id-mapped mounts")") != std::string::npos)
        return line.find(R"("status":"ok")") != std::string::npos;
    ADD_FAILURE() << "the shim says nothing of id-mapped mounts";
    return false;
  }

  int count_ = 0;
};

TEST_P(UserNamespaces, RootOfThePodIsNobodyOnTheNode) {
  const std::string id = StartSleeper(RunMapped());
  EXPECT_EQ(Output(id, "id -u; id -g; cat /proc/self/uid_map | tr -s ' '"),
            "0\n0\n 0 1000000 65536\n");
  const std::string process = "/proc/" + std::to_string(PidOf(id));
  const auto status = ReadFile(process + "/status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_NE(status->find("Uid:\t1000000\t1000000\t1000000\t1000000"), std::string::npos) << *status;
  EXPECT_NE(status->find("Gid:\t1000000\t"), std::string::npos) << *status;
  const ino_t users = StatOf(process + "/ns/user").st_ino;
  for (const char* kind : {"net", "ipc", "uts", "mnt", "pid"})
    EXPECT_EQ(OwnerOf(process + "/ns/" + kind), users) << kind;
}

TEST_P(UserNamespaces, TheImageIsTheContainersAndWhatItWritesIsNobodys) {
  auto image = BusyboxImage("docker.io/library/owned:1");
  ASSERT_TRUE(image);
  image->layers.push_back({{"owned", "x", 0640, 'f', "", 1000, 1001}, {"roots", "y", 0600}});
  image->layers.push_back({{"upper", "z", 0600}});
  LoadForThisTest(*image);
  auto config = Shell(
      "stat -c '%u:%g' / /bin/busybox /owned /roots /upper /etc/hosts /dev/null /dev/pts /dev/shm; "
      "echo changed >> /roots && chown 5:6 /roots && cat /roots && echo x >> /etc/hosts && "
      "mkdir /made && mv /owned /made/ && rm /upper && echo done; stat -c '%u:%g' /roots; sleep "
      "1000");
  config.mutable_image()->set_image(image->name);
  const std::string id = CreateAndStart(RunMapped(), config);
  const std::string expected =
      "0:0\n0:0\n1000:1001\n0:0\n0:0\n0:0\n0:0\n0:0\n0:0\nychanged\ndone\n5:6\n";
  EXPECT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout") == expected; }))
      << TextOf(Log(id), "stdout") << TextOf(Log(id), "stderr");
  bool found = false;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           world().paths().root(), std::filesystem::directory_options::skip_permission_denied)) {
    if (entry.path().filename() != "roots") continue;
    found = true;
    EXPECT_EQ(StatOf(entry.path()).st_uid, kFirst + 5);
    EXPECT_EQ(StatOf(entry.path()).st_gid, kFirst + 6);
  }
  EXPECT_TRUE(found) << "the writable layer is on the node's disk";
}

TEST_P(UserNamespaces, AMappedVolumeIsTheContainersAndAnotherOneIsNot) {
  const std::string pod = RunMapped();
  const std::string mapped = world().NewFolder("mapped"), plain = world().NewFolder("plain");
  Write(mapped + "/secret", "mine\n", 0600);
  Write(plain + "/secret", "the node's\n", 0600);
  Write(plain + "/public", "for all\n", 0644);
  ASSERT_EQ(chmod(plain.c_str(), 0755), 0);
  const mode_t mode = StatOf(plain).st_mode;
  auto config = Shell(
      "cat /mapped/secret; stat -c '%u:%g' /mapped/secret; echo x > /mapped/made && echo made; "
      "stat -c '%u:%g' /plain/secret; cat /plain/public; cat /plain/secret 2>/dev/null || echo "
      "refused; echo x 2>/dev/null > /plain/secret || echo refused; rm -f /plain/public "
      "2>/dev/null || echo refused; chmod 777 /plain 2>/dev/null || echo refused; chown 0:0 "
      "/plain/secret 2>/dev/null || echo refused");
  AddMapped(config, mapped, "/mapped");
  AddMount(config, plain, "/plain");
  EXPECT_EQ(RunToEnd(pod, config).out,
            "mine\n0:0\nmade\n65534:65534\nfor all\nrefused\nrefused\nrefused\nrefused\nrefused\n");
  EXPECT_EQ(StatOf(mapped + "/made").st_uid, 0U) << "as if the node's root had made it";
  EXPECT_EQ(StatOf(plain).st_mode, mode);
}

TEST_P(UserNamespaces, VolumesOfEveryKindAreMapped) {
  // A folder, a file, and a mount below a folder.
  const std::string inner = world().NewFolder("inner"), outer = world().NewFolder("outer");
  Write(inner + "/secret", "secret\n", 0600);
  ASSERT_EQ(mkdir((outer + "/inner").c_str(), 0755), 0);
  ASSERT_EQ(mount(inner.c_str(), (outer + "/inner").c_str(), nullptr, MS_BIND, nullptr), 0);
  const Cleanup unmount([outer] { umount2((outer + "/inner").c_str(), MNT_DETACH); });
  const std::string log = world().NewFolder("log") + "/termination-log";
  Write(log, "", 0600);
  auto config = Shell(
      "cat /inner/secret; echo x 2>/dev/null > /inner/secret || echo refused; cat "
      "/outer/inner/secret; echo last words > /dev/termination-log");
  AddMapped(config, inner, "/inner")->set_readonly(true);
  AddMapped(config, outer, "/outer");
  AddMapped(config, log, "/dev/termination-log");
  EXPECT_EQ(RunToEnd(RunMapped(), config).out, "secret\nrefused\nsecret\n");
  auto words = ReadFile(log);
  EXPECT_EQ(words ? *words : words.error().message, "last words\n");
}

// As the kubelet has secrets and tokens.
TEST_P(UserNamespaces, VolumesInMemoryAreMapped) {
  if (!CanMapTmpfs()) GTEST_SKIP() << "this kernel maps no ids of a tmpfs: Linux 6.3 does";
  const std::string memory = world().NewFolder("memory"), outer = world().NewFolder("outer");
  ASSERT_EQ(mount("tmpfs", memory.c_str(), "tmpfs", 0, "mode=0755"), 0);
  Cleanup unmount([memory] { umount2(memory.c_str(), MNT_DETACH); });
  Write(memory + "/token", "token\n", 0600);
  ASSERT_EQ(mkdir((outer + "/inner").c_str(), 0755), 0);
  ASSERT_EQ(mount(memory.c_str(), (outer + "/inner").c_str(), nullptr, MS_BIND, nullptr), 0);
  unmount.Add([outer] { umount2((outer + "/inner").c_str(), MNT_DETACH); });
  auto config = Shell(
      "cat /secrets/token; echo x 2>/dev/null > /secrets/token || echo refused; cat "
      "/outer/inner/token");
  AddMapped(config, memory, "/secrets")->set_readonly(true);
  AddMapped(config, outer, "/outer");
  EXPECT_EQ(RunToEnd(RunMapped(), config).out, "token\nrefused\ntoken\n");
}

TEST_P(UserNamespaces, ImagesAsVolumesAreTheContainers) {
  ImageDescription image;
  image.name = "docker.io/library/content:1";
  image.layers = {{{"part", "", 0755, 'd'}, {"part/secret", "inside\n", 0600}},
                  {{"part/other", "other\n", 0600, 'f', "", 7, 8}}};
  LoadForThisTest(image);
  auto config = Shell("cat /whole/part/secret; stat -c '%u:%g' /part/secret /part/other; ls /part");
  for (const char* place : {"/whole", "/part"}) {
    auto* mount = config.add_mounts();
    mount->mutable_image()->set_image(image.name);
    mount->set_container_path(place);
    mount->set_readonly(true);
  }
  config.mutable_mounts(1)->set_image_sub_path("part");
  EXPECT_EQ(RunToEnd(RunMapped(), config).out, "inside\n0:0\n7:8\nother\nsecret\n");
}

TEST_P(UserNamespaces, ThePodHasItsNetworkAndMayConfigureIt) {
  const std::string pod = RunMapped(), other = RunPod();
  auto server = Shell(
      "ip link add name mine type bridge && ip link show mine > /dev/null && echo configured; "
      "while :; do echo served | nc -l -p 80; done");
  server.mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities(
      "NET_ADMIN");
  const std::string id = CreateAndStart(pod, server);
  const std::string client = StartSleeper(other);
  EXPECT_TRUE(WaitUntil([&] {
    auto reply = Exec(client, {"/bin/nc", "-w", "5", IpOf(pod), "80"});
    return reply.ok() && reply->stdout() == "served\n";
  }));
  EXPECT_EQ(TextOf(Log(id), "stdout"), "configured\n") << TextOf(Log(id), "stderr");
  EXPECT_EQ(Output(id, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0\n");
  EXPECT_NE(Output(id, "ls /sys/class/net").find("eth0"), std::string::npos);
}

TEST_P(UserNamespaces, TheNodesNetworkCanBeSharedButNotChanged) {
  auto config = MappedConfig();
  OptionsOf(config)->set_network(v1::NODE);
  config.clear_hostname();
  const std::string pod = RunPod(config);
  auto container = Shell("sleep 1000");
  container.mutable_linux()
      ->mutable_security_context()
      ->mutable_capabilities()
      ->add_add_capabilities("ALL");
  const std::string id = CreateAndStart(pod, container);
  char own[64] = {};
  ASSERT_GT(readlink("/proc/self/ns/net", own, sizeof(own) - 1), 0);
  EXPECT_EQ(Output(id, "readlink /proc/self/ns/net"), std::string(own) + "\n");
  EXPECT_EQ(Output(id, "ls -d /sys/class/net/lo"), "/sys/class/net/lo\n");
  EXPECT_EQ(Output(id,
                   "ip link add name x type bridge 2>/dev/null || echo refused; ip link set lo "
                   "down 2>/dev/null || echo refused; echo 1 2>/dev/null > "
                   "/proc/sys/net/ipv4/ip_forward || echo refused; touch /sys/x 2>/dev/null || "
                   "echo refused; mount -o remount,rw,bind /sys 2>/dev/null || echo refused"),
            "refused\nrefused\nrefused\nrefused\nrefused\n");
}

TEST_P(UserNamespaces, ProcessesAreSharedAndDebuggedAsElsewhere) {
  auto config = MappedConfig();
  OptionsOf(config)->set_pid(v1::POD);
  const std::string pod = RunPod(config);
  auto own = Shell("sleep 7777; true");
  OptionsOf(own)->set_pid(v1::CONTAINER);
  const std::string target = CreateAndStart(pod, own);
  EXPECT_EQ(Output(target, "cat /proc/1/comm"), "sh\n");
  auto shared = Shell("exec sleep 8888");
  OptionsOf(shared)->set_pid(v1::POD);
  const std::string first = CreateAndStart(pod, shared);
  auto sees = Shell("ps; cat /proc/1/comm");
  OptionsOf(sees)->set_pid(v1::POD);
  EXPECT_NE(RunToEnd(pod, sees).out.find("sleep 8888"), std::string::npos);
  auto debug = Shell("ps");
  OptionsOf(debug)->set_pid(v1::TARGET);
  OptionsOf(debug)->set_target_id(target);
  const Ended ended = RunToEnd(pod, debug);
  EXPECT_NE(ended.out.find("sleep 7777"), std::string::npos) << ended.out << ended.err;
  EXPECT_EQ(ended.out.find("sleep 8888"), std::string::npos) << ended.out;
}

TEST_P(UserNamespaces, APrivilegedContainerHasEveryPowerOverThePodAndNoneOverTheNode) {
  auto config = MappedConfig();
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  const std::string pod = RunPod(config);
  const std::string folder = world().NewFolder("volume");
  Write(folder + "/secret", "secret\n", 0600);
  Write(folder + "/public", "public\n", 0644);
  auto container = Shell("sleep 1000");
  container.mutable_linux()->mutable_security_context()->set_privileged(true);
  AddMount(container, folder, "/v")->set_readonly(true);
  AddMount(container, "/etc", "/node-etc");
  const std::string id = CreateAndStart(pod, container);
  EXPECT_EQ(Output(id, "mount -t tmpfs none /tmp && echo mounted; hostname changed && hostname"),
            "mounted\nchanged\n");
  EXPECT_EQ(Output(id,
                   "mount -o remount,rw,bind /v 2>/dev/null || echo refused; umount /v "
                   "2>/dev/null || echo refused; umount /proc 2>/dev/null || echo refused; cat "
                   "/v/secret 2>/dev/null || echo refused; cat /node-etc/shadow 2>/dev/null || "
                   "echo refused; echo x 2>/dev/null > /node-etc/catamaran-test || echo "
                   "refused; echo h 2>/dev/null > /proc/sysrq-trigger || echo refused; echo 1 "
                   "2>/dev/null > /proc/sys/kernel/panic || echo refused; mknod /disk b 7 0 "
                   "2>/dev/null || echo refused; mkdir /sys/fs/cgroup/x 2>/dev/null || mkdir "
                   "/sys/fs/cgroup/pids/x 2>/dev/null || echo refused"),
            "refused\nrefused\nrefused\nrefused\nrefused\nrefused\nrefused\nrefused\nrefused\n"
            "refused\n");
  EXPECT_FALSE(Exists("/etc/catamaran-test"));
}

TEST_P(UserNamespaces, LimitsAndStatsAreThePods) {
  const std::string pod = RunMapped();
  auto hog = ContainerConfig("hog", {"/bin/tail", "/dev/zero"});
  hog.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(32 << 20);
  const Ended ended = RunToEnd(pod, hog);
  EXPECT_EQ(ended.exit_code, 137);
  EXPECT_EQ(ended.reason, "OOMKilled");
  const std::string id = StartSleeper(pod);
  const auto groups = ReadFile("/proc/" + std::to_string(PidOf(id)) + "/cgroup");
  ASSERT_TRUE(groups);
  const std::string group = pod + (world().paths().systemd ? ".scope/pod/" : "/") + id;
  EXPECT_NE(groups->find(group), std::string::npos)
      << "in the pod's group, where the kubelet limits it: " << *groups;
  v1::ContainerStatsRequest request;
  request.set_container_id(id);
  auto stats = cri().ContainerStats(request);
  ASSERT_TRUE(stats.ok()) << stats.message();
  EXPECT_GT(stats->stats().memory().usage_bytes().value(), 0U);
  EXPECT_GT(stats->stats().cpu().usage_core_nano_seconds().value(), 0U);
  auto scored = Shell("cat /proc/self/oom_score_adj");
  scored.mutable_linux()->mutable_resources()->set_oom_score_adj(789);
  EXPECT_EQ(RunToEnd(pod, scored).out, "789\n");
}

TEST_P(UserNamespaces, SecurityFieldsHold) {
  auto config = Shell(
      "sed -n 's/^\\(Seccomp\\|NoNewPrivs\\):[^0-9]*//p' /proc/self/status; id -u; id -G; unshare "
      "-m true 2>/dev/null || echo refused; touch /x 2>/dev/null || echo refused; wc -c < "
      "/proc/timer_list; cat /proc/sys/kernel/hostname > /dev/null; echo x 2>/dev/null > "
      "/proc/sys/kernel/hostname || echo refused");
  auto* context = config.mutable_linux()->mutable_security_context();
  context->mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  context->set_no_new_privs(true);
  context->set_readonly_rootfs(true);
  context->mutable_run_as_user()->set_value(1000);
  context->add_supplemental_groups(1234);
  context->add_masked_paths("/proc/timer_list");
  context->add_readonly_paths("/proc/sys");
  EXPECT_EQ(RunToEnd(RunMapped(), config).out,
            "1\n2\n1000\n1000 1234 50000\nrefused\nrefused\n0\nrefused\n");
}

TEST_P(UserNamespaces, TerminalsAndExecsAreTheContainers) {
  auto config = Shell("test -t 0 && test -t 1 && tty; stat -c '%u:%g' $(tty); sleep 1000");
  config.set_tty(true);
  config.set_stdin(true);
  const std::string id = CreateAndStart(RunMapped(), config);
  EXPECT_TRUE(WaitUntil([&] { return TextOf(Log(id), "stdout") == "/dev/pts/0\n0:5\n"; }))
      << TextOf(Log(id), "stdout");
  auto exec =
      Exec(id, {"/bin/sh", "-c", "echo out; echo err >&2; echo again > /dev/stdout; exit 3"});
  ASSERT_TRUE(exec.ok()) << exec.message();
  EXPECT_EQ(exec->exit_code(), 3);
  EXPECT_EQ(exec->stdout(), "out\nagain\n");
  EXPECT_EQ(exec->stderr(), "err\n");
}

TEST_P(UserNamespaces, APodOutlivesTheDaemon) {
  const std::string pod = RunMapped();
  const std::string id = StartSleeper(pod);
  world().daemon().Kill();
  ASSERT_TRUE(world().RestartDaemon());
  EXPECT_EQ(Output(id, "id -u"), "0\n");
  const std::string folder = world().NewFolder("volume");
  auto config = Shell("echo x > /v/file; stat -c %u /v/file");
  AddMapped(config, folder, "/v");
  EXPECT_EQ(RunToEnd(pod, config).out, "0\n") << "a container made after it";
}

TEST_P(UserNamespaces, AUserBeyondTheMappingIsRefusedByName) {
  auto config = Shell("true");
  config.mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(kLength);
  const auto created = TryCreate(RunMapped(), config);
  EXPECT_EQ(created.code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(created.message().find("65536 is not mapped"), std::string::npos) << created.message();
}

TEST_P(UserNamespaces, TheHandlerSaysThatItHasThem) {
  auto status = cri().Status({});
  ASSERT_TRUE(status.ok());
  EXPECT_TRUE(status->features().user_namespaces_host_network());
  for (const auto& handler : status->runtime_handlers())
    EXPECT_EQ(handler.features().user_namespaces(), !IsOfVms(handler.name())) << handler.name();
}

INSTANTIATE_TEST_SUITE_P(On, UserNamespaces, ::testing::Values("ns"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace catamaran::e2e
