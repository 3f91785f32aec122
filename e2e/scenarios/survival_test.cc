// What lives on when a daemon, a shim or a hypervisor is killed.
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class Survival : public PodTest {
 protected:
  v1::PodSandboxStatus PodStatus(const std::string& pod, bool verbose = false,
                                 std::string* info = nullptr) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(pod);
    request.set_verbose(verbose);
    auto reply = cri().PodSandboxStatus(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    if (info != nullptr && reply->info().count("info")) *info = reply->info().at("info");
    return reply->status();
  }
  void RestartDaemon() {
    auto started = world().RestartDaemon();
    ASSERT_TRUE(started) << started.error().message;
  }
  // The process whose command line has both words.
  static pid_t FindProcess(const std::string& word, const std::string& other) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      const pid_t pid = atoi(entry.path().filename().c_str());
      std::ifstream file(entry.path() / "cmdline");
      const std::string line((std::istreambuf_iterator<char>(file)), {});
      if (pid > 0 && line.find(word) != std::string::npos &&
          line.find(other) != std::string::npos) {
        return pid;
      }
    }
    return 0;
  }
};

TEST_P(Survival, RunningPodsSurviveTheDaemonsDeath) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const std::string ip = IpOf(pod);
  Output(id, "echo before > /file");
  world().daemon().Kill();
  RestartDaemon();
  // On a busy machine the shim may answer a moment later; until then nothing is claimed of it.
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
  EXPECT_EQ(PodStatus(pod).state(), v1::SANDBOX_READY);
  EXPECT_EQ(IpOf(pod), ip);
  EXPECT_EQ(Output(id, "cat /file"), "before\n");
  EXPECT_EQ(RunToEnd(pod, ShellConfig("another", "exit 9")).exit_code, 9);
}

TEST_P(Survival, SigtermLeavesPodsRunning) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  EXPECT_EQ(world().daemon().Terminate(), 0);
  RestartDaemon();
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_RUNNING));
}

TEST_P(Survival, ExitsWithoutADaemonAreReportedWithTheirCodes) {
  const std::string pod = RunPod();
  const std::string folder = world().NewFolder("signal");
  auto config = ShellConfig("main", "while [ ! -e /v/go ]; do sleep 0.1; done; echo last; exit 33");
  auto* mount = config.add_mounts();
  mount->set_host_path(folder);
  mount->set_container_path("/v");
  const std::string id = CreateAndStart(pod, config);
  const std::string log = LogPath(id);
  world().daemon().Kill();
  std::ofstream(folder + "/go") << "x";
  EXPECT_TRUE(WaitUntil([&] {
    auto content = ReadFile(log);
    return content && content->find("last") != std::string::npos;
  }));
  RestartDaemon();
  ASSERT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_EQ(StatusOf(id).exit_code(), 33);
  EXPECT_EQ(StatusOf(id).reason(), "Error");
  EXPECT_GT(StatusOf(id).finished_at(), StatusOf(id).started_at());
}

TEST_P(Survival, LogsLoseNothingOverRotationsAndADaemonsDeath) {
  const std::string pod = RunPod();
  const int lines = on_vm() ? 200'000 : 2'000'000;  // of 100 bytes
  const std::string script =
      fmt::format("yes 'a line of ninety-nine characters {}' | head -n {}",
                  std::string(99 - sizeof("a line of ninety-nine characters ") + 1, 'x'), lines);
  const std::string id = CreateAndStart(pod, ShellConfig("main", script));
  const std::string path = LogPath(id);
  std::vector<std::string> files;
  auto size_of = [&] {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
  };
  for (int rotation = 0; rotation < 5; ++rotation) {
    WaitUntil([&] { return size_of() > 1'000'000; }, std::chrono::seconds(20));
    if (rotation == 2) {
      world().daemon().Kill();
      RestartDaemon();
    }
    const std::string rotated = path + "." + std::to_string(rotation);
    if (rename(path.c_str(), rotated.c_str()) != 0) break;
    v1::ReopenContainerLogRequest request;
    request.set_container_id(id);
    if (!cri().ReopenContainerLog(request).ok()) {  // it has ended
      rename(rotated.c_str(), path.c_str());
      break;
    }
    files.push_back(rotated);
  }
  files.push_back(path);
  ASSERT_TRUE(WaitUntil([&] { return StatusOf(id).state() == v1::CONTAINER_EXITED; },
                        std::chrono::seconds(300)));
  const std::string expected =
      "a line of ninety-nine characters " +
      std::string(99 - sizeof("a line of ninety-nine characters ") + 1, 'x');
  int seen = 0, wrong = 0;
  for (const std::string& file : files) {
    std::ifstream stream(file);
    std::string line;
    while (std::getline(stream, line)) {
      ++seen;
      const size_t text = line.find(" stdout F ");
      if (text == std::string::npos || line.compare(text + 10, std::string::npos, expected) != 0) {
        ++wrong;
      }
    }
  }
  EXPECT_EQ(seen, lines);
  EXPECT_EQ(wrong, 0);
}

TEST_P(Survival, AKilledShimMakesItsPodNotReadyWithAReasonAndNoOther) {
  const std::string pod = RunPod(), other = RunPod();
  const std::string id = StartSleeper(pod), neighbour = StartSleeper(other);
  const pid_t shim = FindProcess("shim", pod);
  ASSERT_GT(shim, 0) << "no process names the pod";
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
  EXPECT_NE(StatusOf(id).exit_code(), 0);
  std::string info;
  PodStatus(pod, true, &info);
  EXPECT_NE(info.find("\"reason\":"), std::string::npos) << info;
  EXPECT_EQ(info.find("\"reason\":\"\""), std::string::npos) << info;
  EXPECT_EQ(PodStatus(other).state(), v1::SANDBOX_READY);
  EXPECT_EQ(Output(neighbour, "echo well"), "well\n");
}

TEST_P(Survival, AShimKilledWhileNoDaemonRunsIsFoundOut) {
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const pid_t shim = FindProcess("shim", pod);
  ASSERT_GT(shim, 0);
  world().daemon().Kill();
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  RestartDaemon();
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
}

TEST_P(Survival, AKilledHypervisorMakesItsPodNotReady) {
  if (!on_vm()) GTEST_SKIP() << "only the vm hull has one";
  const std::string pod = RunPod();
  const std::string id = StartSleeper(pod);
  const pid_t qemu = FindProcess("qemu-system", "");
  ASSERT_GT(qemu, 0);
  ASSERT_EQ(kill(qemu, SIGKILL), 0);
  ASSERT_TRUE(WaitUntil([&] { return PodStatus(pod).state() == v1::SANDBOX_NOTREADY; }));
  EXPECT_TRUE(WaitForState(id, v1::CONTAINER_EXITED));
}

TEST_P(Survival, AStoppedShimDoesNotHoldUpOtherPodsNorItsOwnEnd) {
  const std::string pod = RunPod(), other = RunPod();
  StartSleeper(pod);
  const std::string neighbour = StartSleeper(other);
  const pid_t shim = FindProcess("shim", pod);
  ASSERT_GT(shim, 0);
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  EXPECT_EQ(Output(neighbour, "echo well"), "well\n");
  StopAndRemovePod(pod);
}

CATAMARAN_ON_EVERY_HANDLER(Survival);

}  // namespace
}  // namespace catamaran::e2e
