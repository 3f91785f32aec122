// What an administrator does beside a running daemon: reload, why, top, support-bundle.
#include <signal.h>

#include <filesystem>
#include <thread>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Operate : public PodTest {
 protected:
  void TearDown() override {
    if (config_changed_) {
      EXPECT_TRUE(WriteConfig(ConfigText(world().paths())));
      EXPECT_EQ(Command({"config", "reload"}).exit_code, 0);
    }
    PodTest::TearDown();
  }

  ProgramResult Command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), ProgramFolder() + "/catamaran");
    arguments.push_back("--config");
    arguments.push_back(world().config_file());
    return RunProgram(arguments);
  }
  Status WriteConfig(const std::string& text) {
    config_changed_ = true;
    return ReplaceFile(world().config_file(), text, 0600, Durability::kProcessCrash);
  }
  // This run's configuration with one text in the place of another.
  void Configure(const std::string& old_text, const std::string& new_text) {
    std::string text = ConfigText(world().paths());
    const size_t at = text.find(old_text);
    ASSERT_NE(at, std::string::npos) << old_text;
    ASSERT_TRUE(WriteConfig(text.replace(at, old_text.size(), new_text)));
  }
  std::string DaemonLog() { return ReadFile(world().daemon().log_file()).value_or(""); }
  // Sends SIGHUP and waits for what the daemon then logs.
  void Hangup(const std::string& logged) {
    const size_t before = DaemonLog().size();
    ASSERT_EQ(kill(world().daemon().pid(), SIGHUP), 0);
    EXPECT_TRUE(WaitUntil([&] { return DaemonLog().find(logged, before) != std::string::npos; }))
        << logged << " is not in\n"
        << DaemonLog().substr(before);
  }
  static void ExpectHas(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in\n" << text;
  }

 private:
  bool config_changed_ = false;
};

TEST_P(Operate, SighupTakesWhatCanChangeAndPodsRunOn) {
  const std::string container = StartSleeper(RunPod());
  ASSERT_NO_FATAL_FAILURE(Configure("level: info", "level: debug"));
  Hangup("reloaded changes=\"log.level: info -> debug\"");
  EXPECT_EQ(Output(container, "echo still here"), "still here\n");
  ExpectHas(DaemonLog(), " debug ExecSync ");

  ASSERT_NO_FATAL_FAILURE(Configure("log:\n",
                                    "images:\n  signature_policy: [{scope: '*', rule: reject}]\n"
                                    "log:\n"));
  Hangup("images.signature_policy[*]: (none) -> reject");
  const auto refused = TryCreate(RunPod(), ShellConfig("rejected", "true"));
  EXPECT_EQ(refused.code(), ErrorCode::kPermissionDenied) << refused.message();
  ASSERT_TRUE(WriteConfig(ConfigText(world().paths())));
  Hangup("images.signature_policy[*]: reject -> (none)");
  EXPECT_EQ(RunToEnd(RunPod(), ShellConfig("accepted", "echo ran")).out, "ran\n");
}

TEST_P(Operate, AReloadThatCannotBeIsRefusedByNameAndChangesNothing) {
  const std::string pod = RunPod();
  ASSERT_NO_FATAL_FAILURE(Configure("allow_emulation: true", "allow_emulation: false"));
  const ProgramResult refused = Command({"config", "reload"});
  EXPECT_EQ(refused.exit_code, 1) << refused.output;
  ExpectHas(refused.output, "allow_emulation: true -> false");
  Hangup("error reload refused");

  ASSERT_NO_FATAL_FAILURE(Configure("level: info", "level: loud"));
  Hangup("log.level: 'loud' is wrong");
  const ProgramResult wrong = Command({"config", "reload"});
  EXPECT_EQ(wrong.exit_code, 1);
  ExpectHas(wrong.output, world().config_file() + ":");

  ASSERT_TRUE(WriteConfig(ConfigText(world().paths())));
  const ProgramResult same = Command({"config", "reload"});
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_EQ(same.output, "Read again; nothing changed.\n");
  EXPECT_FALSE(StartSleeper(pod).empty()) << "machines are still emulated";
}

TEST_P(Operate, WhySaysWhatAPodWaitsForAndWhatItsStartTook) {
  const std::string pod = RunPod(PodConfig("asked"));
  const std::string name = config_of(pod).metadata().name();
  const std::string created = Create(pod, ShellConfig("idle", "sleep 1000"));
  const std::string stubborn =
      CreateAndStart(pod, ShellConfig("stubborn", "trap '' TERM; while :; do sleep 1; done"));
  for (const std::string& called : {name, "e2e/" + name, pod.substr(0, 12)}) {
    const ProgramResult why = Command({"why", called});
    EXPECT_EQ(why.exit_code, 0) << why.output;
    ExpectHas(why.output, "handler " + GetParam() + ", ready for ");
    ExpectHas(why.output, "the kubelet, to start container idle, created ");
    ExpectHas(why.output, "stubborn: running for ");
    for (const char* step : {" network ", " sandbox ", " image ", " create ", " start "})
      ExpectHas(why.output, step);
    if (on_vm()) ExpectHas(why.output, "machine: restored from a template in ");
  }

  std::thread stopping([&] {
    v1::StopContainerRequest request;
    request.set_container_id(stubborn);
    request.set_timeout(6);
    EXPECT_TRUE(cri().StopContainer(request).ok());
  });
  EXPECT_TRUE(WaitUntil(
      [&] {
        return Command({"why", name}).output.find("StopContainer (container ") != std::string::npos;
      },
      std::chrono::seconds(5)));
  ExpectHas(Command({"why"}).output, "StopContainer (container ");
  stopping.join();

  const ProgramResult absent = Command({"why", "no-such-pod"});
  EXPECT_EQ(absent.exit_code, 1);
  ExpectHas(absent.output, "no pod is or becomes 'no-such-pod'");
}

TEST_P(Operate, TopShowsWhatEachPodUses) {
  const std::string pod = RunPod(PodConfig("shown"));
  CreateAndStart(pod, ShellConfig("busy", "while :; do :; done"));
  const ProgramResult top = Command({"top", "--once", "--sort", "memory"});
  ASSERT_EQ(top.exit_code, 0) << top.output;
  std::istringstream lines(top.output);
  std::string line;
  bool found = false;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string name, handler, state, cpu, memory, tax, containers;
    words >> name >> handler >> state >> cpu >> memory >> tax >> containers;
    if (name != "e2e/" + config_of(pod).metadata().name()) continue;
    found = true;
    EXPECT_EQ(handler, GetParam());
    EXPECT_EQ(state, "ready");
    EXPECT_GT(std::stod(cpu), 0) << line;
    EXPECT_NE(memory, "-") << line;
    EXPECT_NE(tax, "-") << line;
    EXPECT_EQ(containers, "1");
  }
  EXPECT_TRUE(found) << top.output;
  const ProgramResult no_terminal = Command({"top"});
  EXPECT_EQ(no_terminal.exit_code, 1);
  ExpectHas(no_terminal.output, "--once");
}

// ---- Secrets ----

constexpr char kSecret[] = "planted-5ecr3t";

class Secrets : public Operate {
 protected:
  static std::string Secret(int number) { return fmt::format("{}-{}", kSecret, number); }

  // Wherever a pod may have them.
  void PlantSecrets() {
    auto config = PodConfig("keeper");
    (*config.mutable_annotations())["kubectl.kubernetes.io/last-applied-configuration"] =
        "{\"env\": \"" + Secret(1) + "\"}";
    pod_ = RunPod(config);
    auto container = ContainerConfig(
        "app", {"/bin/sh", "-c", "API_TOKEN=" + Secret(2) + " sleep 1000", "--password", Secret(3),
                "--header=Authorization: Bearer " + Secret(4), "http://me:" + Secret(5) + "@h/"});
    auto* env = container.add_envs();
    env->set_key("DATABASE");
    env->set_value(Secret(6));
    (*container.mutable_annotations())["example.org/note"] = Secret(7);
    container_ = CreateAndStart(pod_, container);
    EXPECT_TRUE(Exec(container_, {"/bin/echo", "--token=" + Secret(8)}).ok());
    v1::PullImageRequest pull;
    pull.mutable_image()->set_image("127.0.0.1:1/app:1");
    pull.mutable_auth()->set_username("me");
    pull.mutable_auth()->set_password(Secret(9));
    EXPECT_FALSE(cri().PullImage(pull).ok());
    // Failures are where a careless daemon tells what it was given.
    auto broken = ContainerConfig("broken", {"/absent", "--token=" + Secret(10)});
    *broken.add_envs() = *env;
    v1::StartContainerRequest start;
    start.set_container_id(Create(pod_, broken));
    EXPECT_FALSE(cri().StartContainer(start).ok());
  }

  static void ExpectNone(const std::string& text, const std::string& where) {
    const size_t at = text.find(kSecret);
    EXPECT_EQ(at, std::string::npos) << where << ": " << text.substr(at < 200 ? 0 : at - 200, 300);
  }

  std::string pod_, container_;
};

TEST_P(Secrets, AreNotInTheLogNorInVerboseStatus) {
  ASSERT_NO_FATAL_FAILURE(Configure("level: info", "level: debug"));
  Hangup("log.level: info -> debug");
  PlantSecrets();
  v1::PodSandboxStatusRequest of_pod;
  of_pod.set_pod_sandbox_id(pod_);
  of_pod.set_verbose(true);
  const auto pod = cri().PodSandboxStatus(of_pod);
  ASSERT_TRUE(pod->info().contains("info"));
  for (const auto& [key, value] : pod->info()) ExpectNone(value, "verbose PodSandboxStatus");
  v1::ContainerStatusRequest of_container;
  of_container.set_container_id(container_);
  of_container.set_verbose(true);
  const auto status = cri().ContainerStatus(of_container);
  ASSERT_TRUE(status->info().contains("info"));
  ExpectHas(status->info().at("info"), "DATABASE");
  for (const auto& [key, value] : status->info()) ExpectNone(value, "verbose ContainerStatus");
  v1::StatusRequest of_node;
  of_node.set_verbose(true);
  const auto node = cri().Status(of_node);
  for (const auto& [key, value] : node->info()) ExpectNone(value, "Status");
  ExpectNone(DaemonLog(), "the log");
}

TEST_P(Secrets, AreNotInTheSupportBundle) {
  PlantSecrets();
  const std::string folder = world().NewFolder("bundle");
  const std::string file = folder + "/bundle.tar.zst";
  const ProgramResult made =
      Command({"support-bundle", file, "--log", world().daemon().log_file()});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  EXPECT_EQ(std::filesystem::status(file).permissions(), std::filesystem::perms(0600));
  const ProgramResult unpacked =
      RunProgram({"/bin/sh", "-c", "zstd -dc " + file + " | tar -xf - -C " + folder});
  ASSERT_EQ(unpacked.exit_code, 0) << unpacked.output;
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path() == file) continue;
    ++files;
    const auto text = ReadFile(entry.path());
    ASSERT_TRUE(text) << text.error().message;
    ExpectNone(*text, entry.path().string());
  }
  EXPECT_GT(files, 18);
  const auto read = [&](const std::string& name) {
    return ReadFile(folder + "/catamaran-support/" + name).value_or("");
  };
  ExpectHas(read("config.txt"), "cgroup_root: " + world().paths().cgroup_root);
  ExpectHas(read("doctor.json"), "\"findings\"");
  ExpectHas(read("versions.txt"), "catamaran ");
  ExpectHas(read("daemon/metrics.txt"), "catamaran_build_info{");
  ExpectHas(read("daemon/log.txt"), " RunPodSandbox pod=" + pod_);
  ExpectHas(read("daemon/pods.json"), config_of(pod_).metadata().name());
  ExpectHas(read("daemon/containers.json"), "\"DATABASE\"");
  ExpectHas(read("daemon/stats.json"), pod_);
  ExpectHas(read("daemon/status.json"), "\"networkReady\": true");
  ExpectHas(read("host/mounts"), "/proc");
  const ProgramResult again = Command({"support-bundle", file});
  EXPECT_EQ(again.exit_code, 1) << "it takes no file that is there";
}

CATAMARAN_ON_EVERY_HANDLER(Operate);
CATAMARAN_ON_EVERY_HANDLER(Secrets);

}  // namespace
}  // namespace catamaran::e2e
