// What an administrator does beside a running daemon: reload, why, top.
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "e2e/scenarios/operate_fixture.h"

namespace catamaran::e2e {
namespace {

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

// Calls that have to do with a pod or a container, and what is noticed of them.
TEST_P(Operate, EachLineOfTheLogNamesItsPodAndContainerInEitherFormat) {
  ASSERT_NO_FATAL_FAILURE(Configure("level: info", "level: debug\n  format: json"));
  const size_t before = DaemonLog().size();
  Hangup("\"event\":\"reloaded\"");
  const std::string pod = RunPod(PodConfig("logged"));
  const std::string name = "e2e/" + config_of(pod).metadata().name();
  const std::string container = StartSleeper(pod);
  EXPECT_TRUE(Exec(container, {"/bin/true"}).ok());
  v1::StopContainerRequest stop;
  stop.set_container_id(container);
  EXPECT_TRUE(cri().StopContainer(stop).ok());
  StopAndRemovePod(pod);
  ASSERT_TRUE(WriteConfig(ConfigText(world().paths())));
  Hangup("log.format: json -> text");

  const std::set<std::string> of_pods = {"RunPodSandbox", "StopPodSandbox", "RemovePodSandbox",
                                         "PodSandboxStatus"};
  const std::set<std::string> of_containers = {"CreateContainer", "StartContainer", "ExecSync",
                                               "StopContainer", "ContainerStatus"};
  std::set<std::string> seen;
  std::istringstream lines(DaemonLog().substr(before));
  for (std::string line; std::getline(lines, line);) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) {
      ExpectHas(line, " reloaded ");  // the first or the last: text
      continue;
    }
    const std::string event = object.value("event", "");
    const bool of_container = of_containers.contains(event);
    if (!of_container && !of_pods.contains(event)) continue;
    seen.insert(event);
    EXPECT_EQ(object.value("pod", ""), pod) << line;
    EXPECT_EQ(object.value("name", ""), name) << line;
    if (of_container) {
      EXPECT_EQ(object.value("container", ""), container) << line;
    }
  }
  for (const char* event : {"RunPodSandbox", "StopPodSandbox", "RemovePodSandbox",
                            "CreateContainer", "StartContainer", "ExecSync", "StopContainer"})
    EXPECT_TRUE(seen.contains(event)) << event;
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

CATAMARAN_ON_EVERY_HANDLER(Operate);

}  // namespace
}  // namespace catamaran::e2e
