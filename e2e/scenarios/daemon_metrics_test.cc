// The daemon's own metrics, as Prometheus reads them, while pods come and go; and that what is
// drawn and alerted on is among them.
#include <atomic>
#include <map>
#include <regex>
#include <set>
#include <thread>

#include "cri/registry/testing/local_registry.h"
#include "cri/telemetry/scrape.h"
#include "e2e/harness/pod_test.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

// One reading: value by series, labels in the order of the text (which is that of the alphabet).
using Reading = std::map<std::string, double>;

std::string ReadText() {
  const auto text = Scrape(HostPath(TheWorld().paths().run() + "/metrics.sock"),
                           Deadline::After(std::chrono::seconds(60)));
  EXPECT_TRUE(text) << (text ? "" : text.error().message);
  return text.value_or("");
}

Reading Parse(const std::string& text) {
  Reading reading;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    reading[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return reading;
}
Reading Read() { return Parse(ReadText()); }

double ValueOf(const Reading& reading, const std::string& series) {
  const auto found = reading.find(series);
  return found == reading.end() ? 0 : found->second;
}

std::string CallsOf(const std::string& method, const std::string& handler) {
  return fmt::format("catamaran_rpc_duration_seconds_count{{handler=\"{}\",method=\"{}\"}}",
                     handler, method);
}

class DaemonMetrics : public PodTest {
 protected:
  std::string PodsThatAre(const std::string& state) const {
    return fmt::format("catamaran_pods{{handler=\"{}\",state=\"{}\"}}", GetParam(), state);
  }
  std::string ContainersThatAre(const std::string& state) const {
    return fmt::format("catamaran_containers{{handler=\"{}\",state=\"{}\"}}", GetParam(), state);
  }
  std::string Step(const std::string& step) const {
    return fmt::format("catamaran_start_step_duration_seconds_count{{handler=\"{}\",step=\"{}\"}}",
                       GetParam(), step);
  }
  std::string MemoryOf(const std::string& process) const {
    return fmt::format("catamaran_process_private_memory_bytes{{handler=\"{}\",process=\"{}\"}}",
                       GetParam(), process);
  }
  static void ExpectGrowth(const Reading& before, const Reading& after, const std::string& series,
                           double by) {
    EXPECT_EQ(ValueOf(after, series) - ValueOf(before, series), by) << series;
  }
};

TEST_P(DaemonMetrics, MoveAsPodsComeAndGo) {
  const Reading before = Read();
  const std::string pod = RunPod();
  const std::string container = StartSleeper(pod);
  const Reading during = Read();
  for (const char* method : {"RunPodSandbox", "CreateContainer", "StartContainer"})
    ExpectGrowth(before, during, CallsOf(method, GetParam()), 1);
  for (const char* step : {"network", "shim", "sandbox", "image", "create", "start"})
    ExpectGrowth(before, during, Step(step), 1);
  ExpectGrowth(before, during, PodsThatAre("ready"), 1);
  ExpectGrowth(before, during, ContainersThatAre("running"), 1);
  EXPECT_GT(ValueOf(during, MemoryOf("shims")), 50'000);
  EXPECT_GT(
      ValueOf(during, "catamaran_process_private_memory_bytes{handler=\"\",process=\"daemon\"}"),
      1e6);
  if (on_vm()) {
    ExpectGrowth(before, during,
                 fmt::format("catamaran_machines_started_total{{from_pool=\"false\",handler=\"{}\","
                             "start=\"restored\"}}",
                             GetParam()),
                 1);
    EXPECT_GT(ValueOf(during, MemoryOf("machines")), 4e6);
  } else {
    EXPECT_FALSE(during.contains(MemoryOf("machines")));
  }

  StopAndRemovePod(pod);
  const Reading after = Read();
  ExpectGrowth(before, after, PodsThatAre("ready"), 0);
  ExpectGrowth(before, after, ContainersThatAre("running"), 0);
  for (const char* method : {"StopPodSandbox", "RemovePodSandbox"})
    ExpectGrowth(before, after, CallsOf(method, GetParam()), 1);
}

TEST_P(DaemonMetrics, CountErrorsAndNameNoPod) {
  const Reading before = Read();
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = PodConfig("named-by-nobody");
  request.set_runtime_handler("not-configured");
  EXPECT_EQ(cri().RunPodSandbox(request).code(), ErrorCode::kInvalidArgument);
  const std::string pod = RunPod(PodConfig("named-by-nobody"));
  v1::StartContainerRequest absent;
  absent.set_container_id("absent-container");
  EXPECT_FALSE(cri().StartContainer(absent).ok());
  v1::CreateContainerRequest wrong;
  wrong.set_pod_sandbox_id(pod);
  EXPECT_FALSE(cri().CreateContainer(wrong).ok());
  const std::string text = ReadText();
  const Reading after = Parse(text);
  const auto errors = [](const std::string& method, const std::string& handler,
                         const std::string& code) {
    return fmt::format("catamaran_rpc_errors_total{{code=\"{}\",handler=\"{}\",method=\"{}\"}}",
                       code, handler, method);
  };
  ExpectGrowth(before, after, errors("RunPodSandbox", "", "INVALID_ARGUMENT"), 1);
  ExpectGrowth(before, after, errors("StartContainer", "", "NOT_FOUND"), 1);
  ExpectGrowth(before, after, errors("CreateContainer", GetParam(), "INVALID_ARGUMENT"), 1);
  for (const std::string& name : {pod, std::string("named-by-nobody"), std::string("absent-con"),
                                  std::string("not-configured")})
    EXPECT_EQ(text.find(name), std::string::npos) << name;
}

TEST_P(DaemonMetrics, AreReadWhilePodsComeAndGo) {
  std::atomic<bool> done = false;
  std::atomic<int> readings = 0;
  std::thread reader([&] {
    while (!done) {
      const Reading reading = Read();
      EXPECT_GE(ValueOf(reading, PodsThatAre("ready")), 0);
      if (reading.contains("catamaran_rpc_oldest_in_flight_seconds")) ++readings;
    }
  });
  for (int i = 0; i < 3; ++i) {
    const std::string pod = RunPod();
    EXPECT_FALSE(StartSleeper(pod).empty());
    StopAndRemovePod(pod);
  }
  done = true;
  reader.join();
  EXPECT_GT(readings, 3);
}

CATAMARAN_ON_EVERY_HANDLER(DaemonMetrics);

class NodeMetrics : public WorldTest {};

TEST_F(NodeMetrics, CountPullsTheirBytesAndFailures) {
  auto registry = LocalRegistry::Start({world().NewFolder("registry")});
  ASSERT_TRUE(registry) << registry.error().message;
  auto image = BusyboxImage("registry.test/team/busybox:1");
  ASSERT_TRUE(image);
  // Other scenarios may have left the layer of every test's image here, which is then not pulled.
  image->layers[0].push_back({"etc/motd", "counted\n"});
  const std::string layout = world().NewFolder("layout");
  ASSERT_TRUE(WriteOciLayout(layout, {*image}));
  ASSERT_TRUE(registry->Add("team/busybox", "1", layout));
  uint64_t layers = 0;  // as they lie in the registry
  for (const auto& entry : std::filesystem::recursive_directory_iterator(layout))
    if (entry.is_regular_file() && entry.file_size() > 100'000) layers += entry.file_size();
  const std::string pulls = "catamaran_image_pull_duration_seconds_count";
  const std::string bytes = "catamaran_image_pull_bytes_total";

  v1::PullImageRequest request;
  request.mutable_image()->set_image(registry->address() + "/team/busybox:1");
  const Reading before = Read();
  ASSERT_TRUE(cri().PullImage(request).ok());
  const Reading once = Read();
  EXPECT_EQ(ValueOf(once, pulls) - ValueOf(before, pulls), 1);
  const double received = ValueOf(once, bytes) - ValueOf(before, bytes);
  EXPECT_GE(received, static_cast<double>(layers));
  EXPECT_LT(received, static_cast<double>(layers) + 16'384) << "its config, no more";

  ASSERT_TRUE(cri().PullImage(request).ok());
  v1::PullImageRequest absent;
  absent.mutable_image()->set_image(registry->address() + "/team/absent:1");
  EXPECT_FALSE(cri().PullImage(absent).ok());
  const Reading twice = Read();
  EXPECT_EQ(ValueOf(twice, pulls) - ValueOf(once, pulls), 2);
  EXPECT_LT(ValueOf(twice, bytes) - ValueOf(once, bytes), 16'384) << "the layers are here";
  const std::string errors = "catamaran_image_pull_errors_total{code=\"NOT_FOUND\"}";
  EXPECT_EQ(ValueOf(twice, errors) - ValueOf(once, errors), 1);
  v1::RemoveImageRequest remove;
  *remove.mutable_image() = request.image();
  EXPECT_TRUE(cri().RemoveImage(remove).ok());
}

TEST_F(NodeMetrics, CountWhatADaemonSweepsAtItsStart) {
  world().daemon().Kill();
  const std::string nobodys = world().paths().root() + "/pods/" + std::string(64, 'a');
  ASSERT_TRUE(MakeDirectories(nobodys, 0700));
  auto restarted = world().RestartDaemon();
  ASSERT_TRUE(restarted) << restarted.error().message;
  EXPECT_FALSE(Exists(nobodys));
  const Reading reading = Read();
  EXPECT_EQ(ValueOf(reading, "catamaran_leaks_found_total{kind=\"data\",swept=\"true\"}"), 1);
  EXPECT_EQ(ValueOf(reading, "catamaran_leaks_found_total{kind=\"cgroup\",swept=\"true\"}"), 0);
}

// ---- What is drawn and alerted on ----

struct Use {
  std::string metric;
  std::set<std::string> labels;
};

// Metrics of ours in a text of PromQL, with the labels that they are chosen by.
std::vector<Use> UsesIn(const std::string& text) {
  static const std::regex metric(R"((catamaran_[a-z_]+)(\{([^}]*)\})?)");
  static const std::regex label(R"(([a-z_]+)\s*(=~|!~|!=|=))");
  std::vector<Use> uses;
  for (auto it = std::sregex_iterator(text.begin(), text.end(), metric);
       it != std::sregex_iterator(); ++it) {
    Use use{(*it)[1], {}};
    const std::string chosen = (*it)[3];
    for (auto by = std::sregex_iterator(chosen.begin(), chosen.end(), label);
         by != std::sregex_iterator(); ++by)
      if ((*by)[1] != "instance") use.labels.insert((*by)[1]);
    uses.push_back(std::move(use));
  }
  return uses;
}

// Labels of a reading, by metric.
std::map<std::string, std::set<std::string>> LabelsOf(const Reading& reading) {
  static const std::regex label("([a-z_]+)=\"");
  std::map<std::string, std::set<std::string>> labels;
  for (const auto& [series, value] : reading) {
    const size_t brace = std::min(series.find('{'), series.size());
    auto& of_metric = labels[series.substr(0, brace)];
    const std::string rest = series.substr(brace);
    for (auto it = std::sregex_iterator(rest.begin(), rest.end(), label);
         it != std::sregex_iterator(); ++it)
      of_metric.insert((*it)[1]);
  }
  return labels;
}

TEST_P(DaemonMetrics, AreAllThatIsDrawnAndAlertedOn) {
  if (!on_vm()) GTEST_SKIP() << "one reading has all of them where there are machines";
  const std::string pod = RunPod();
  const std::string container = StartSleeper(pod);
  v1::PullImageRequest absent;
  absent.mutable_image()->set_image("127.0.0.1:1/absent:1");
  EXPECT_FALSE(cri().PullImage(absent).ok());
  std::thread in_flight([&] { EXPECT_TRUE(Exec(container, {"/bin/sleep", "3"}).ok()); });
  std::string reading;
  EXPECT_TRUE(WaitUntil([&] {
    reading = ReadText();
    return reading.find("\ncatamaran_rpc_in_flight{method=\"ExecSync\"} 1\n") != std::string::npos;
  })) << reading;
  in_flight.join();
  const auto labels = LabelsOf(Parse(reading));
  // Of handlers with a pool, which no handler of this run has: named without a value.
  const std::set<std::string> only_with_a_pool{"catamaran_pool_wanted", "catamaran_pool_waiting",
                                               "catamaran_pool_events_total"};
  for (const char* file : {"catamaran-dashboard.json", "catamaran-rules.yaml"}) {
    auto text = ReadFile(std::string(CATAMARAN_MONITORING) + "/" + file);
    ASSERT_TRUE(text) << text.error().message;
    *text = std::regex_replace(*text, std::regex(R"(\\")"), "\"");
    const auto uses = UsesIn(*text);
    EXPECT_GT(uses.size(), 8u) << file;
    for (const Use& use : uses) {
      if (only_with_a_pool.contains(use.metric)) {
        EXPECT_NE(reading.find("# TYPE " + use.metric + " "), std::string::npos) << use.metric;
        continue;
      }
      const auto known = labels.find(use.metric);
      ASSERT_NE(known, labels.end()) << file << ": there is no " << use.metric;
      for (const std::string& label : use.labels)
        EXPECT_TRUE(known->second.contains(label))
            << file << ": " << use.metric << " has no label " << label;
    }
  }
}

}  // namespace
}  // namespace catamaran::e2e
