// Secrets are planted wherever a pod and a node may have them, and looked for in everything that
// the daemon tells: log, verbose status, traces, support bundle.
#include <filesystem>

#include "cri/telemetry/collector_testing.h"
#include "e2e/scenarios/operate_fixture.h"

namespace catamaran::e2e {
namespace {

constexpr char kSecret[] = "planted-5ecr3t";

// "me:planted-5ecr3t-11", as `docker login` writes it.
constexpr char kEncodedSecret[] = "bWU6cGxhbnRlZC01ZWNyM3QtMTE=";

class Secrets : public Operate {
 protected:
  static std::string Secret(int number) { return fmt::format("{}-{}", kSecret, number); }

  // Has the daemon look for credentials and mirrors in files that hold secrets, as they should be
  // written and then as they should not, and pull.
  void PlantSecretsOfTheNode(const std::string& more_config = "") {
    const std::string folder = world().NewFolder("node-secrets");
    const std::string docker = folder + "/docker.json", hosts = folder + "/127.0.0.1:1/hosts.toml";
    ASSERT_NO_FATAL_FAILURE(
        Configure("log:\n", fmt::format("images: {{docker_config: {}, hosts_dir: {}}}\n{}log:\n",
                                        docker, folder, more_config)));
    Hangup("images.docker_config: ");
    const std::pair<std::string, std::string> files[] = {
        {fmt::format(R"({{"auths": {{"127.0.0.1:1": {{"auth": "{}"}}}}}})", kEncodedSecret),
         fmt::format("[host.\"http://127.0.0.1:1\".header]\nx-key = \"{}\"\n", Secret(12))},
        {fmt::format(R"({{"auths": {{"127.0.0.1:1": {{"auth": "{}" "{}"}}}}}})", kEncodedSecret,
                     Secret(13)),
         fmt::format("[host.\"http://127.0.0.1:1\".header]\nx-key = \"{}\" {}\n", Secret(14),
                     Secret(15))},
        {fmt::format(R"({{"auths": {{"127.0.0.1:1": {{"auth": ["{}"], "password": 7}}}}}})",
                     Secret(16)),
         fmt::format("[host.\"http://127.0.0.1:1\".header]\nx-key = [\"{}\", 7]\n", Secret(17))}};
    ASSERT_TRUE(MakeDirectories(folder + "/127.0.0.1:1"));
    std::string told;
    for (const auto& [docker_text, hosts_text] : files) {
      for (const bool with_hosts : {false, true}) {
        ASSERT_TRUE(ReplaceFile(docker, docker_text, 0600, Durability::kProcessCrash));
        ASSERT_TRUE(
            ReplaceFile(hosts, with_hosts ? hosts_text : "", 0600, Durability::kProcessCrash));
        v1::PullImageRequest pull;
        pull.mutable_image()->set_image("127.0.0.1:1/app:1");
        const auto pulled = cri().PullImage(pull);
        EXPECT_FALSE(pulled.ok());
        told += pulled.message() + "\n";
        ExpectNone(pulled.message(), "what the kubelet is told, and shows as an event");
      }
    }
    for (const char* read : {"docker.json", "hosts.toml"}) ExpectHas(told, read);
  }

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
    for (const char* secret : {kSecret, kEncodedSecret}) {
      const size_t at = text.find(secret);
      EXPECT_EQ(at, std::string::npos)
          << where << ": " << text.substr(at < 200 ? 0 : at - 200, 300);
    }
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

TEST_P(Secrets, OfTheNodeAreNotInTheLogNorInTraces) {
  TestCollector collector;
  PlantSecretsOfTheNode(fmt::format(
      "tracing: {{endpoint: '{}', sampling_rate_per_million: 1000000}}\n", collector.url()));
  PlantSecrets();
  const auto has = [&](const std::string& name) {
    for (const auto& collected : collector.Spans())
      if (collected.span.name().ends_with("/" + name)) return true;
    return false;
  };
  EXPECT_TRUE(WaitUntil([&] { return has("StartContainer") && has("PullImage"); }));
  for (const auto& request : collector.requests()) ExpectNone(request.text, "a trace");
  ExpectNone(DaemonLog(), "the log");
}

TEST_P(Secrets, AreNotInTheSupportBundle) {
  PlantSecretsOfTheNode();
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

CATAMARAN_ON_EVERY_HANDLER(Secrets);

}  // namespace
}  // namespace catamaran::e2e
