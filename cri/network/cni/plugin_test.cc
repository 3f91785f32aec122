// Running plugins: one (PluginRunner), the list of a network (PluginChain), and what is done when
// they misbehave. The plugin is a real program: testing/recording_plugin.cc.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "cri/network/cni/plugin_chain.h"
#include "cri/network/cni/plugin_guard.h"
#include "cri/network/cni/plugin_run.h"
#include "cri/network/cni/testing/recorder.h"

namespace catamaran {
namespace {

using nlohmann::json;

Deadline Soon() { return Deadline::After(std::chrono::seconds(60)); }

class PluginTest : public testing::Test {
 protected:
  PluginTest()
      : base_(std::filesystem::path(testing::TempDir()) / ("plugin_" + std::to_string(getpid()))),
        first_(base_ / "first"),
        second_(base_ / "second"),
        runner_({HostPath(base_ / "nothing"), Recorder::ProgramFolder()}) {}
  ~PluginTest() override { EXPECT_TRUE(RemoveTree(base_)); }

  Result<PluginAnswer> Run(const std::string& command, Deadline deadline = Soon()) {
    return runner_.Run("recording_plugin", {.command = command, .container_id = "pod"},
                       first_.Config({{"cniVersion", "1.0.0"}}), deadline);
  }
  // Two of them, the first of which gives an address.
  CniNetworkList List(const std::string& version) {
    const json answer = {{"interfaces", {{{"name", "eth0"}, {"sandbox", "/n"}}}},
                         {"ips", {{{"address", "10.0.0.2/8"}, {"interface", 0}}}}};
    const json text = {
        {"cniVersion", version},
        {"name", "net"},
        {"plugins",
         {first_.Config({{"result", answer}}),
          second_.Config({{"capabilities", {{"portMappings", true}, {"mac", false}}}})}}};
    return ParseNetworkList(text.dump(), "test").value();
  }
  network::CniAttachment Attachment() {
    network::CniAttachment attachment;
    attachment.set_pod_id("pod");
    attachment.set_netns("/run/netns/pod");
    attachment.set_interface("eth0");
    attachment.set_arguments("IgnoreUnknown=1;K8S_POD_NAME=a");
    attachment.set_capabilities(R"({"portMappings": [{"hostPort": 1}], "dns": {}})");
    return attachment;
  }

  const std::filesystem::path base_;
  Recorder first_, second_;
  const PluginRunner runner_;
};

TEST_F(PluginTest, GetsItsParametersAndItsConfiguration) {
  setenv("CNI_STALE", "of the daemon", 1);
  const auto answer = runner_.Run(
      "recording_plugin", {"ADD", "pod", "/run/netns/pod", "eth0", "IgnoreUnknown=1"},
      first_.Config({{"cniVersion", "1.0.0"}, {"result", {{"ips", json::array()}}}}), Soon());
  unsetenv("CNI_STALE");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(answer->ok) << answer->error.message;
  EXPECT_TRUE(answer->result.contains("ips"));
  const json call = first_.Calls().at(0);
  EXPECT_EQ(call["command"], "ADD");
  EXPECT_EQ(call["container"], "pod");
  EXPECT_EQ(call["netns"], "/run/netns/pod");
  EXPECT_EQ(call["interface"], "eth0");
  EXPECT_EQ(call["args"], "IgnoreUnknown=1");
  EXPECT_EQ(call["path"], (base_ / "nothing").string() + ":" + Recorder::ProgramFolder().string());
}

TEST_F(PluginTest, IsNamedWithTheFoldersWhereItIsMissing) {
  const auto answer = runner_.Run("absent", {.command = "ADD"}, {}, Soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kNotFound);
  EXPECT_NE(answer.error().message.find("absent is in none of " + (base_ / "nothing").string()),
            std::string::npos)
      << answer.error().message;
}

struct Misbehaviour {
  const char *name, *step;
  int cni_code;
  ErrorCode code;
  const char* expected;
};
class Misbehaving : public PluginTest, public testing::WithParamInterface<Misbehaviour> {};
TEST_P(Misbehaving, IsToldInFull) {
  first_.Plan("ADD", GetParam().step);
  const auto answer = Run("ADD");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(answer->ok);
  EXPECT_EQ(answer->error_code, GetParam().cni_code);
  EXPECT_EQ(answer->error.code, GetParam().code);
  EXPECT_NE(answer->error.message.find("CNI plugin recording_plugin (ADD)"), std::string::npos);
  EXPECT_NE(answer->error.message.find(GetParam().expected), std::string::npos)
      << answer->error.message;
}
INSTANTIATE_TEST_SUITE_P(
    Rows, Misbehaving,
    testing::Values(Misbehaviour{"Error", "error 107 no more addresses", 107, ErrorCode::kInternal,
                                 "code 107: no more addresses: as the plan says"},
                    Misbehaviour{"TryAgain", "error 11 later", 11, ErrorCode::kUnavailable,
                                 "code 11: later"},
                    Misbehaviour{"WrongConfiguration", "error 7 subnet", 7,
                                 ErrorCode::kFailedPrecondition, "code 7: subnet"},
                    Misbehaviour{"Garbage", "garbage", 0, ErrorCode::kInternal, "not JSON"},
                    Misbehaviour{"Silent", "silent", 0, ErrorCode::kInternal,
                                 "ended with 1 without a CNI error, said: only on stderr"},
                    Misbehaviour{"Killed", "die", 0, ErrorCode::kInternal, "ended with 137"}),
    [](const auto& row) { return row.param.name; });

TEST_F(PluginTest, IsKilledWithItsChildrenAtTheDeadline) {
  first_.Plan("ADD", "hang");
  Result<PluginAnswer> answer = Run("ADD", Deadline::After(std::chrono::milliseconds(1500)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kDeadlineExceeded);
  for (const pid_t pid : first_.Hanging())
    EXPECT_TRUE(Eventually([&] {
      const auto state = ReadFile(fmt::format("/proc/{}/stat", pid));
      return !state || state->find(") Z") != std::string::npos;
    })) << "process "
        << pid << " lives on";
}

TEST_F(PluginTest, IsKilledWhereSomebodyStoppedIt) {
  first_.Plan("ADD", "stop");
  const auto answer = Run("ADD", Deadline::After(std::chrono::minutes(5)));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("stopped by a signal"), std::string::npos);
}

TEST_F(PluginTest, CannotFillTheMemory) {
  first_.Plan("ADD", "endless");
  const auto answer = Run("ADD");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kResourceExhausted);
}

TEST_F(PluginTest, IsStartedOnceItsProgramIsWritten) {
  const HostPath folder(base_ / "nothing");
  ASSERT_TRUE(MakeDirectories(folder.value()));
  std::filesystem::copy(Recorder::ProgramFolder().value() / "recording_plugin", folder.value());
  auto writer = OpenFile(folder.value() / "recording_plugin", O_WRONLY).value();
  std::thread closes([&] {
    usleep(300'000);
    writer.Reset();
  });
  const auto answer = Run("CHECK");
  closes.join();
  EXPECT_TRUE(answer) << answer.error().message;
}

TEST_F(PluginTest, ChainsResultsForwardAndDeletesInReverse) {
  const auto list = List("1.0.0");
  const PluginChain chain(runner_, list);
  auto attachment = Attachment();
  const auto result = chain.Add(attachment, -1, Soon());
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)["ips"][0]["address"], "10.0.0.2/8");
  const json first = first_.Calls().at(0)["config"], second = second_.Calls().at(0)["config"];
  EXPECT_FALSE(first.contains("prevResult"));
  EXPECT_FALSE(first.contains("runtimeConfig")) << "it declares no capability";
  EXPECT_EQ(second["prevResult"]["ips"][0]["address"], "10.0.0.2/8");
  EXPECT_EQ(second["runtimeConfig"], json::parse(R"({"portMappings": [{"hostPort": 1}]})"));
  EXPECT_EQ(second["name"], "net");
  EXPECT_EQ(second["cniVersion"], "1.0.0");

  attachment.set_result(result->dump());
  first_.Plan("DEL", "always error 107 not now");
  EXPECT_FALSE(chain.Delete(attachment, -1, Soon()));
  second_.Plan("DEL", "error 107 not now");
  EXPECT_FALSE(chain.Delete(attachment, -1, Soon()));
  EXPECT_EQ(first_.Commands(), "ADD DEL ") << "the second one's failure came first";
  EXPECT_EQ(second_.Commands(), "ADD DEL DEL ");
  EXPECT_EQ(second_.Calls().back()["config"]["prevResult"], *result);
  EXPECT_TRUE(second_.Calls().back()["config"].contains("runtimeConfig"));
}

TEST_F(PluginTest, StopsAtTheFirstFailureOfAdd) {
  const auto list = List("1.0.0");
  first_.Plan("ADD", "error 100 broken");
  EXPECT_FALSE(PluginChain(runner_, list).Add(Attachment(), -1, Soon()));
  EXPECT_EQ(second_.Commands(), "");
}

TEST_F(PluginTest, GoesOnDeletingWhereAPluginKnowsThePodNoMore) {
  const auto list = List("1.0.0");
  second_.Plan("DEL", "error 3 unknown container");
  EXPECT_TRUE(PluginChain(runner_, list).Delete(Attachment(), -1, Soon()));
  EXPECT_EQ(first_.Commands(), "DEL ");
}

TEST_F(PluginTest, IsAskedOnlyForWhatItsVersionHas) {
  auto attachment = Attachment();
  attachment.set_result(R"({"ips": [{"address": "10.0.0.2/8"}]})");
  const auto commands = [&](const std::string& version, bool disabled) {
    auto list = List(version);
    list.disable_check = list.disable_gc = disabled;
    const PluginChain chain(runner_, list);
    first_.Forget();
    EXPECT_TRUE(chain.Check(attachment, Soon()));
    EXPECT_TRUE(chain.CollectGarbage({attachment}, Soon()));
    EXPECT_TRUE(chain.AskStatus(Soon()));
    EXPECT_TRUE(chain.Delete(attachment, -1, Soon()));
    return first_.Commands();
  };
  EXPECT_EQ(commands("0.3.1", false), "DEL ");
  EXPECT_FALSE(first_.Calls().back()["config"].contains("prevResult"));
  EXPECT_EQ(commands("0.4.0", false), "CHECK DEL ");
  EXPECT_TRUE(first_.Calls().back()["config"].contains("prevResult"));
  EXPECT_EQ(commands("1.0.0", true), "DEL ");
  EXPECT_EQ(commands("1.1.0", false), "CHECK GC STATUS DEL ");
  EXPECT_EQ(commands("1.1.0", true), "STATUS DEL ");
}

TEST_F(PluginTest, IsToldWhatIsInUseAndAllAreToldDespiteFailures) {
  const auto list = List("1.1.0");
  first_.Plan("GC", "error 100 one");
  second_.Plan("GC", "error 100 two");
  const auto collected = PluginChain(runner_, list).CollectGarbage({Attachment()}, Soon());
  ASSERT_FALSE(collected);
  EXPECT_NE(collected.error().message.find("one"), std::string::npos);
  EXPECT_NE(collected.error().message.find("two"), std::string::npos);
  const json call = second_.Calls().at(0);
  EXPECT_EQ(call["config"]["cni.dev/valid-attachments"],
            json::parse(R"([{"containerID": "pod", "ifname": "eth0"}])"));
  EXPECT_EQ(call["container"], "") << "GC is of the network, not of a pod";
}

TEST_F(PluginTest, AnAnswerToAddMustBeAResult) {
  for (const char* answer : {"{\"ips\": [{\"address\": \"nonsense\"}]}", "{\"ips\": 5}"}) {
    auto list = List("1.0.0");
    list.plugins[0].config["result"] = json::parse(answer);
    const auto result = PluginChain(runner_, list).Add(Attachment(), -1, Soon());
    ASSERT_FALSE(result) << answer;
    EXPECT_NE(result.error().message.find("recording_plugin (ADD): its answer: ips"),
              std::string::npos)
        << result.error().message;
  }
}

// A daemon that was killed left a plugin that works, or hangs.
TEST_F(PluginTest, StraysOfAnotherDaemonAreWaitedForOrKilled) {
  const HostPath file(base_ / "guard");
  EXPECT_TRUE(EndStrayPlugins(file, Soon())) << "none is fine";
  for (const char* step : {"wait", "hang"}) {
    const std::filesystem::path go = base_ / "go";
    ASSERT_TRUE(RemoveIfExists(go));
    first_.Plan("ADD", std::string(step) + " " + go.string());
    const pid_t daemon = fork();
    if (daemon == 0) {
      const auto guard = PluginGuard::Begin(file);
      (void)runner_.Run("recording_plugin",
                        {.command = "ADD", .container_id = "pod", .inherited_fd = guard->fd()},
                        first_.Config(), Soon());
      _exit(0);
    }
    ASSERT_TRUE(Eventually([&] { return first_.Commands() == "ADD "; }));
    kill(daemon, SIGKILL);
    waitpid(daemon, nullptr, 0);
    ASSERT_TRUE(Exists(file.value()));
    std::thread goes([&] {
      usleep(300'000);
      if (step == std::string("wait")) std::ofstream(go) << "x";
    });
    EXPECT_TRUE(EndStrayPlugins(file, Soon()));
    goes.join();
    EXPECT_EQ(Exists(go), step == std::string("wait"));
    EXPECT_FALSE(Exists(file.value()));
    first_.Forget();
  }
  // Their lock was free, so nothing had it open any more.
  EXPECT_EQ(first_.Hanging().size(), 2u);
}

}  // namespace
}  // namespace catamaran
