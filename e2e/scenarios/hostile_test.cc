// Images, containers and other users that try to get at the node. What the same attacks do where a
// defence is taken out: sandbox/hostile, shim/hostile, cri/hostile.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

// Runs on a thread that is another user: credentials are a thread's own in the kernel.
void AsNobody(const std::function<void()>& work) {
  std::thread([&work] {
    ASSERT_EQ(syscall(SYS_setresgid, kNobody, kNobody, kNobody), 0);
    ASSERT_EQ(syscall(SYS_setresuid, kNobody, kNobody, kNobody), 0);
    work();
  }).join();
}

std::string Connect(const std::string& path) {
  const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return "too long";
  memcpy(address.sun_path, path.data(), path.size());
  if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
    return "connected";
  return strerrorname_np(errno);
}

// A way to a folder that does not go through those above it, which are not ours.
std::string ShortCut(const UniqueFd& folder) {
  return fmt::format("/proc/self/fd/{}/.", folder.get());
}

// Folders and files below `root` that this thread can list, or read or execute.
std::vector<std::string> WithinReach(const fs::path& root) {
  std::vector<std::string> found;
  std::error_code error;
  if (access(root.c_str(), R_OK) == 0 || access(root.c_str(), X_OK) == 0) found.push_back(root);
  if (!fs::is_directory(fs::symlink_status(root, error))) return found;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error))
    for (auto& path : WithinReach(it->path())) found.push_back(std::move(path));
  return found;
}

class Hostile : public PodTest {
 protected:
  void SetUp() override {
    PodTest::SetUp();
    if (HasFatalFailure()) return;
    victim_ = world().NewFolder("victim");
    std::ofstream(victim_ / "secret") << "secret";
  }
  // Whatever a container or an image did, this is all that there is.
  void ExpectVictimUntouched() {
    EXPECT_EQ(ListDirectory(victim_).value(), std::vector<std::string>{"secret"});
    EXPECT_EQ(ReadFile(victim_ / "secret").value(), "secret");
  }
  ImageDescription Image(const std::string& name, const std::vector<ImageFile>& layer) {
    auto image = BusyboxImage("docker.io/library/" + name).value();
    image.layers.push_back(layer);
    return image;
  }
  v1::ContainerConfig In(const std::string& image, const std::string& script) {
    auto config = ShellConfig("main", script);
    config.mutable_image()->set_image(image);
    return config;
  }
  size_t DaemonMemory() {
    std::istringstream status(
        ReadFile(fmt::format("/proc/{}/status", world().daemon().pid())).value());
    std::string line;
    while (std::getline(status, line))
      if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) << 10;
    return 0;
  }
  fs::path victim_;
};

// CVE-2024-5154, CVE-2021-30465, CVE-2026-41579.
TEST_P(Hostile, AnImagesLinksLeadNowhereOnTheNode) {
  const std::string upwards = "../../../../../../../.." + (victim_ / "made").string();
  auto image = Image("hostile-links:1",
                     {{"etc/mtab", "", 0777, 'l', victim_ / "made"},
                      {"etc/hostname", "", 0777, 'l', upwards},
                      {"etc/hosts", "", 0777, 'l', "/proc/self/root" + (victim_ / "made").string()},
                      {"etc/resolv.conf", "", 0777, 'l', victim_ / "made"},
                      {"link", "", 0777, 'l', victim_}});
  LoadForThisTest(image);
  const std::string pod = RunPod();
  auto config = In(image.name, "echo well");
  AddMount(config, world().NewFolder("volume"), "/link/made-volume");
  config.set_working_dir("/link/made-too");
  // One of them, a magic link, is refused.
  EXPECT_FALSE(TryCreate(pod, config).ok());
  ExpectVictimUntouched();
  image.name = "docker.io/library/hostile-links:2";
  image.layers.push_back({{"etc/.wh.hosts", ""}});
  LoadForThisTest(image);
  config.mutable_image()->set_image(image.name);
  EXPECT_EQ(RunToEnd(pod, config).out, "well\n");
  ExpectVictimUntouched();
  for (const char* name : {"proc", "sys", "dev"}) {
    auto replaced = Image(fmt::format("hostile-{}:1", name), {{fmt::format(".wh.{}", name), ""}});
    replaced.layers.push_back({{name, "", 0777, 'l', victim_}});
    LoadForThisTest(replaced);
    auto refused = In(replaced.name, "true");
    refused.mutable_metadata()->set_name(name);
    auto reply = TryCreate(pod, refused);
    EXPECT_FALSE(reply.ok()) << name;
    EXPECT_NE(reply.message().find(std::string("/") + name), std::string::npos) << reply.message();
  }
  ExpectVictimUntouched();
}

// CVE-2019-16884, CVE-2023-27561, CVE-2025-52881.
TEST_P(Hostile, NothingIsMountedOverProc) {
  const auto image = Image("hostile-over-proc:1", {{"x", "", 0777, 'l', "/proc"}});
  LoadForThisTest(image);
  const std::string pod = RunPod();
  for (const char* target : {"/proc", "/x", "/proc/self/attr", "/x/sys"}) {
    auto config = In(image.name, "true");
    AddMount(config, world().NewFolder("volume"), target);
    auto reply = TryCreate(pod, config);
    EXPECT_FALSE(reply.ok()) << target;
    EXPECT_NE(reply.message().find("mounted over"), std::string::npos) << reply.message();
  }
}

// CVE-2024-21626.
TEST_P(Hostile, AnImagesWorkingDirectoryIsNoDescriptor) {
  const std::string pod = RunPod();
  for (int number = 3; number < 20; ++number) {
    auto image = Image(fmt::format("hostile-cwd:{}", number), {{"file", ""}});
    image.working_directory = fmt::format("/proc/self/fd/{}", number);
    LoadForThisTest(image);
    auto reply = TryCreate(pod, In(image.name, "pwd"));
    EXPECT_FALSE(reply.ok()) << number;
    EXPECT_NE(reply.message().find("cwd"), std::string::npos) << reply.message();
  }
}

// CVE-2026-47262, CVE-2024-9676.
TEST_P(Hostile, UserFilesThatAreGiantOrFifosAreRefusedByName) {
  const std::string pod = RunPod();
  int number = 0;
  for (const std::string& name : {std::string("etc/passwd"), std::string("etc/group")})
    for (const char type : {'f', 'p'}) {
      auto image =
          Image(fmt::format("hostile-users:{}", ++number),
                {{name, type == 'f' ? std::string(8 << 20, '\n') : std::string(), 0644, type}});
      image.user = "0:somebody";
      LoadForThisTest(image);
      auto reply = TryCreate(pod, In(image.name, "true"));
      EXPECT_FALSE(reply.ok()) << name << " " << type;
      EXPECT_NE(reply.message().find(name), std::string::npos) << reply.message();
    }
}

// CVE-2022-23648.
TEST_P(Hostile, AnImagesVolumesShowNothingOfTheNode) {
  auto image = Image("hostile-volumes:1", {{"file", ""}});
  image.volumes = {"/../../../../../.." + victim_.string(), "/proc/self/root" + victim_.string(),
                   victim_};
  LoadForThisTest(image);
  const Ended ended = RunToEnd(
      RunPod(), In(image.name, fmt::format("cat {}/secret; grep -c {} /proc/self/mountinfo",
                                           victim_.string(), victim_.string())));
  EXPECT_EQ(ended.out, "0\n") << ended.err;
  ExpectVictimUntouched();
}

// CVE-2022-31030.
TEST_P(Hostile, CommandsWithoutEndNeitherHoldACallNorGrowTheDaemon) {
  const std::string id = StartSleeper(RunPod());
  const size_t before = DaemonMemory();
  auto reply = Exec(id, {"/bin/sh", "-c", "yes"}, 3);
  EXPECT_EQ(reply.code(), ErrorCode::kDeadlineExceeded) << reply.message();
  // Its children have its output and write for ever.
  reply = Exec(id, {"/bin/sh", "-c", "yes & yes >&2 & echo ended"}, 100);
  EXPECT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->exit_code(), 0);
  EXPECT_LT(reply->ByteSizeLong(), 16u << 20);
  Output(id, "killall yes; true");
  EXPECT_EQ(Output(id, "echo well"), "well\n");
  EXPECT_LT(DaemonMemory(), before + (96u << 20));
}

// CVE-2022-0811.
TEST_P(Hostile, ASysctlsValueIsNoSecondSysctl) {
  const std::string file = "/proc/sys/kernel/printk_ratelimit_burst";
  const std::string before = ReadFile(file).value();
  for (const char* separator : {"+", "\n", " ", ",", ";", "\\n"}) {
    auto config = PodConfig();
    (*config.mutable_linux()->mutable_sysctls())["kernel.shm_rmid_forced"] =
        fmt::format("1{}kernel.printk_ratelimit_burst=77", separator);
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    request.set_runtime_handler(GetParam());
    auto reply = cri().RunPodSandbox(request);
    EXPECT_FALSE(reply.ok()) << separator;
    EXPECT_NE(reply.message().find("kernel.shm_rmid_forced"), std::string::npos) << reply.message();
    if (reply.ok()) StopAndRemovePod(reply->pod_sandbox_id());
  }
  EXPECT_EQ(ReadFile(file).value(), before);
}

// CVE-2024-3154, CVE-2020-27151: nothing in the system reads them.
TEST_P(Hostile, AnnotationsAndLabelsHaveNoEffect) {
  const std::string look =
      "grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/self/oom_score_adj; "
      "sed 's/init=.*//' /proc/cmdline; ls /dev; grep -c . /proc/self/mountinfo";
  const auto annotate = [](auto* annotations) {
    for (const auto& [key, value] : std::map<std::string, std::string>{
             {"org.systemd.property.ExecStopPost", "'/bin/touch /tmp/x'"},
             {"org.systemd.property.TimeoutStopUSec", "uint64 1"},
             {"run.oci.systemd.subgroup", "../../x"},
             {"run.oci.hooks.stderr", "/tmp/x"},
             {"io.kubernetes.cri-o.Devices", "/dev/kmsg:/dev/kmsg:rwm"},
             {"io.kubernetes.cri-o.userns-mode", "auto"},
             {"io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel", "true"},
             {"io.katacontainers.config.hypervisor.path", "/bin/false"},
             {"io.katacontainers.config.hypervisor.kernel_params", "catamaran.hostile=1"},
             {"io.containerd.cri.runtime-handler", "vm"},
             {"container.apparmor.security.beta.kubernetes.io/main", "unconfined"},
             {"seccomp.security.alpha.kubernetes.io/pod", "unconfined"}})
      (*annotations)[key] = value;
  };
  const std::string plain = RunToEnd(RunPod(), ShellConfig("main", look)).out;
  auto config = PodConfig("annotated");
  annotate(config.mutable_annotations());
  annotate(config.mutable_labels());
  auto container = ShellConfig("main", look);
  annotate(container.mutable_annotations());
  annotate(container.mutable_labels());
  EXPECT_EQ(RunToEnd(RunPod(config), container).out, plain);
}

// CVE-2025-0750.
TEST_P(Hostile, NamesOfPodsAndLogsReachNothingElse) {
  const fs::path outside = world().NewFolder("outside");
  ASSERT_EQ(mount("outside", outside.c_str(), "tmpfs", 0, ""), 0);
  const std::string name = outside.filename();
  auto config = PodConfig();
  const std::string up = config.log_directory() + "/../" + name;
  const auto run = [this](const v1::PodSandboxConfig& changed) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = changed;
    request.set_runtime_handler(GetParam());
    auto reply = cri().RunPodSandbox(request);
    EXPECT_FALSE(reply.ok());
    if (reply.ok()) StopAndRemovePod(reply->pod_sandbox_id());
  };
  for (const auto& wrong : {up, config.log_directory() + "/./../" + name}) {
    auto changed = config;
    changed.set_log_directory(wrong);
    run(changed);
  }
  for (const auto& wrong : {"../" + name, outside.string(), std::string("..")}) {
    auto changed = config;
    changed.mutable_metadata()->set_name(wrong);
    run(changed);
    changed = config;
    changed.mutable_metadata()->set_uid(wrong);
    run(changed);
    v1::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(wrong);
    cri().StopPodSandbox(stop);
    v1::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(wrong);
    cri().RemovePodSandbox(remove);
  }
  const std::string pod = RunPod(config);
  for (const auto& wrong :
       {"../" + name + "/made", outside.string() + "/made", "main/../../" + name + "/made"}) {
    auto container = ShellConfig("main", "echo well");
    container.set_log_path(wrong);
    EXPECT_FALSE(TryCreate(pod, container).ok()) << wrong;
  }
  StopAndRemovePod(pod);
  EXPECT_EQ(ListDirectory(outside).value(), std::vector<std::string>());
  EXPECT_EQ(umount2(outside.c_str(), MNT_DETACH), 0) << "it is still mounted";
}

// CVE-2020-15257.
TEST_P(Hostile, AnotherUserAndAPodOnTheNodesNetworkReachNoSocket) {
  const std::string pod = RunPod();
  StartSleeper(pod);
  const std::string run = world().paths().run();
  std::vector<std::string> sockets;
  for (const auto& entry : fs::recursive_directory_iterator(run))
    if (fs::is_socket(entry.symlink_status())) sockets.push_back(entry.path());
  EXPECT_GE(sockets.size(), 2u) << "the daemon's and a shim's";
  for (const fs::path path : sockets) {
    const auto folder = OpenFile(path.parent_path(), O_PATH | O_DIRECTORY).value();
    AsNobody([&] {
      EXPECT_EQ(Connect(ShortCut(folder) + "/" + path.filename().string()), "EACCES") << path;
    });
  }
  // Theirs are 0600 as well as the folders 0700.
  for (const auto& path : sockets) {
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << path;
  }
  // None in the abstract namespace, which is the network's: no line with a name that begins so.
  EXPECT_EQ(ReadFile("/proc/net/unix", 1 << 20).value().find(" @"), std::string::npos);
  if (on_vm()) return;
  auto config = PodConfig("on-the-node");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
      v1::NODE);
  config.clear_hostname();
  const std::string id = StartSleeper(RunPod(config));
  EXPECT_EQ(Output(id, "grep -c ' @' /proc/net/unix; true"), "0\n");
  EXPECT_EQ(Output(id, fmt::format("ls {} 2>/dev/null; true", run)), "");
}

// CVE-2021-41103, CVE-2024-25621.
TEST_P(Hostile, AnotherUserReadsAndExecutesNothingOfOurs) {
  StartSleeper(RunPod());
  for (const std::string& path : {world().paths().root(), world().paths().run()}) {
    const auto folder = OpenFile(path, O_PATH | O_DIRECTORY).value();
    const auto look = [&folder] {
      std::vector<std::string> found;
      AsNobody([&] { found = WithinReach(ShortCut(folder)); });
      return found;
    };
    EXPECT_EQ(look(), std::vector<std::string>()) << path;
    // The walk sees what there is: where the folder is opened, more than nothing.
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    EXPECT_FALSE(look().empty()) << path;
    ASSERT_EQ(chmod(path.c_str(), 0700), 0);
  }
}

CATAMARAN_ON_EVERY_HANDLER(Hostile);

}  // namespace
}  // namespace catamaran::e2e
