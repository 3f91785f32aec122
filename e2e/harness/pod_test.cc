#include "e2e/harness/pod_test.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr std::chrono::seconds kSettling{20};

std::string TestName() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(info->test_suite_name()) + "." + info->name();
  for (char& c : name) {
    if (c == '/') c = '.';
  }
  return name;
}

void StartDaemonIfGone() {
  if (!TheWorld().daemon().running()) {
    auto started = TheWorld().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
  // One who restarted the daemon may have left the client unconnected, whose next connection would
  // look like one more than before.
  EXPECT_TRUE(TheWorld().cri().Version({}).ok());
}

void ExpectNothingLeaked(const Snapshot& before) {
  const auto left = DifferencesAfterSettling(
      before, [] { return TheWorld().TakeSnapshot(); }, kSettling);
  for (const std::string& line : left) ADD_FAILURE() << "leak: " << line;
}

}  // namespace

bool WaitUntil(const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::vector<LogRecord> ParseLog(const std::string& content) {
  std::vector<LogRecord> records;
  std::istringstream lines(content);
  std::string line;
  while (std::getline(lines, line)) {
    LogRecord record;
    const size_t first = line.find(' ');
    const size_t second = line.find(' ', first + 1);
    const size_t third = line.find(' ', second + 1);
    if (first == std::string::npos || second == std::string::npos || third == std::string::npos) {
      ADD_FAILURE() << "not a CRI log line: " << line;
      continue;
    }
    record.time = line.substr(0, first);
    record.stream = line.substr(first + 1, second - first - 1);
    record.tag = line.substr(second + 1, third - second - 1);
    record.text = line.substr(third + 1);
    records.push_back(record);
  }
  return records;
}

std::string TextOf(const std::vector<LogRecord>& records, const std::string& stream) {
  std::string text;
  for (const LogRecord& record : records) {
    if (record.stream != stream) continue;
    text += record.text;
    if (record.tag == "F") text += "\n";
  }
  return text;
}

void WorldTest::SetUp() {
  StartDaemonIfGone();
  before_ = world().TakeSnapshot();
}

void WorldTest::TearDown() {
  StartDaemonIfGone();
  ExpectNothingLeaked(before_);
}

void PodTest::SetUp() {
  if (!world().HasHandler(GetParam())) {
    GTEST_FAIL() << "the daemon has no handler '" << GetParam() << "'";
  }
  StartDaemonIfGone();
  auto loaded = world().LoadTestImage();
  ASSERT_TRUE(loaded) << loaded.error().message;
  if (world().MustRestore(GetParam())) {
    auto prepared = world().PrepareTemplates();
    ASSERT_TRUE(prepared) << prepared.error().message;
  }
  before_ = world().TakeSnapshot();
}

void PodTest::TearDown() {
  StartDaemonIfGone();
  for (const Pod& pod : pods_) StopAndRemovePod(pod.id);
  for (const std::string& image : images_) {
    v1::RemoveImageRequest request;
    request.mutable_image()->set_image(image);
    auto reply = cri().RemoveImage(request);
    EXPECT_TRUE(reply.ok()) << "RemoveImage " << image << ": " << reply.message();
  }
  ExpectNothingLeaked(before_);
}

v1::PodSandboxConfig PodTest::PodConfig(const std::string& name) {
  v1::PodSandboxConfig config;
  auto* metadata = config.mutable_metadata();
  metadata->set_name(name + "-" + std::to_string(++names_));
  metadata->set_namespace_("e2e");
  metadata->set_uid(TestName());
  config.set_hostname(metadata->name());
  config.set_log_directory(world().NewFolder(TestName()));
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_network(v1::POD);
  options->set_pid(v1::CONTAINER);
  options->set_ipc(v1::POD);
  return config;
}

std::string PodTest::RunPod(const v1::PodSandboxConfig& config) {
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(GetParam());
  auto reply = cri().RunPodSandbox(request, std::chrono::seconds(240));
  EXPECT_TRUE(reply.ok()) << "RunPodSandbox: " << reply.message();
  if (!reply.ok()) return "";
  pods_.push_back({reply->pod_sandbox_id(), config});
  if (on_vm()) CheckMachine(reply->pod_sandbox_id());
  return reply->pod_sandbox_id();
}

MachineFacts PodTest::CheckMachine(const std::string& pod) {
  auto read = world().CountMachine(GetParam(), TestName(), pod);
  EXPECT_TRUE(read) << (read ? "" : read.error().message);
  if (!read) return {};
  const MachineFacts& facts = *read;
  utsname host{};
  uname(&host);
  EXPECT_FALSE(facts.boot_id.empty()) << facts.text;
  EXPECT_NE(facts.boot_id, *ReadBootId());
  EXPECT_FALSE(facts.kernel_release.empty()) << facts.text;
  EXPECT_NE(facts.kernel_release, host.release);
  // A process with the agent's code is no machine: no user can ask for one.
  EXPECT_EQ(facts.launcher, "qemu") << facts.text;
  if (world().MustRestore(GetParam())) {
    EXPECT_EQ(facts.start, "restored")
        << "a cold boot that was not asked for: " << facts.why_not_restored;
  }
  return facts;
}

v1::ContainerConfig PodTest::ContainerConfig(const std::string& name,
                                             const std::vector<std::string>& command) {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image(kImage);
  for (const std::string& word : command) config.add_command(word);
  config.set_log_path(name + ".log");
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
      v1::CONTAINER);
  return config;
}

const v1::PodSandboxConfig& PodTest::config_of(const std::string& pod) const {
  for (const Pod& entry : pods_) {
    if (entry.id == pod) return entry.config;
  }
  static const v1::PodSandboxConfig none;
  return none;
}

Reply<v1::CreateContainerResponse> PodTest::TryCreate(const std::string& pod,
                                                      const v1::ContainerConfig& config) {
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod);
  *request.mutable_config() = config;
  *request.mutable_sandbox_config() = config_of(pod);
  return cri().CreateContainer(request);
}

std::string PodTest::Create(const std::string& pod, const v1::ContainerConfig& config) {
  auto reply = TryCreate(pod, config);
  EXPECT_TRUE(reply.ok()) << "CreateContainer " << config.metadata().name() << ": "
                          << reply.message();
  return reply.ok() ? reply->container_id() : "";
}

std::string PodTest::CreateAndStart(const std::string& pod, const v1::ContainerConfig& config) {
  const std::string id = Create(pod, config);
  if (id.empty()) return "";
  v1::StartContainerRequest request;
  request.set_container_id(id);
  auto reply = cri().StartContainer(request);
  EXPECT_TRUE(reply.ok()) << "StartContainer " << config.metadata().name() << ": "
                          << reply.message();
  return id;
}

std::string PodTest::StartSleeper(const std::string& pod, const std::string& name) {
  // The trap lets it end at SIGTERM although it is process 1 of its namespace.
  return CreateAndStart(
      pod, ShellConfig(name, "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done"));
}

v1::ContainerStatus PodTest::StatusOf(const std::string& container) {
  v1::ContainerStatusRequest request;
  request.set_container_id(container);
  auto reply = cri().ContainerStatus(request);
  EXPECT_TRUE(reply.ok()) << "ContainerStatus: " << reply.message();
  return reply->status();
}

bool PodTest::WaitForState(const std::string& container, v1::ContainerState state) {
  return WaitUntil([&] { return StatusOf(container).state() == state; });
}

Ended PodTest::RunToEnd(const std::string& pod, const v1::ContainerConfig& config) {
  Ended ended;
  const std::string id = CreateAndStart(pod, config);
  if (id.empty()) return ended;
  if (!WaitForState(id, v1::CONTAINER_EXITED)) {
    ADD_FAILURE() << config.metadata().name() << " did not end";
    return ended;
  }
  const v1::ContainerStatus status = StatusOf(id);
  ended.exit_code = status.exit_code();
  ended.reason = status.reason();
  const auto records = Log(id);
  ended.out = TextOf(records, "stdout");
  ended.err = TextOf(records, "stderr");
  return ended;
}

Ended PodTest::RunToEnd(const std::string& script) {
  const std::string pod = RunPod();
  return pod.empty() ? Ended{} : RunToEnd(pod, ShellConfig("main", script));
}

Reply<v1::ExecSyncResponse> PodTest::Exec(const std::string& container,
                                          const std::vector<std::string>& command, int timeout) {
  v1::ExecSyncRequest request;
  request.set_container_id(container);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(timeout);
  return cri().ExecSync(request, std::chrono::seconds(timeout + 120));
}

std::string PodTest::Output(const std::string& container, const std::string& script) {
  auto reply = Exec(container, {"/bin/sh", "-c", script});
  EXPECT_TRUE(reply.ok()) << "ExecSync '" << script << "': " << reply.message();
  EXPECT_EQ(reply->exit_code(), 0) << script << ": " << reply->stderr();
  return reply->stdout();
}

std::string PodTest::LoadForThisTest(const ImageDescription& image) {
  const std::string folder = world().NewFolder("layout");
  auto written = WriteOciLayout(folder, {image});
  EXPECT_TRUE(written) << (written ? "" : written.error().message);
  const ProgramResult loaded = world().LoadImage(folder);
  EXPECT_EQ(loaded.exit_code, 0) << loaded.output;
  images_.push_back(image.name);
  return image.name;
}

void PodTest::StopAndRemovePod(const std::string& pod) {
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod);
  auto stopped = cri().StopPodSandbox(stop);
  EXPECT_TRUE(stopped.ok()) << "StopPodSandbox: " << stopped.message();
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(pod);
  auto removed = cri().RemovePodSandbox(remove);
  EXPECT_TRUE(removed.ok()) << "RemovePodSandbox: " << removed.message();
}

std::string PodTest::IpOf(const std::string& pod) {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  auto reply = cri().PodSandboxStatus(request);
  EXPECT_TRUE(reply.ok()) << reply.message();
  return reply->status().network().ip();
}

std::string PodTest::LogPath(const std::string& container) {
  return StatusOf(container).log_path();
}

std::vector<LogRecord> PodTest::Log(const std::string& container) {
  auto content = ReadFile(LogPath(container), 1 << 30);
  EXPECT_TRUE(content) << (content ? "" : content.error().message);
  return content ? ParseLog(*content) : std::vector<LogRecord>{};
}

}  // namespace catamaran::e2e
