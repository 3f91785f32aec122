// Hooks: when, where, as whom and with what they run, and what becomes of a container whose hook
// fails. The hooks are the probe.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "sandbox/backend/engine_fixture.h"
#include "sandbox/container/hooks.h"

namespace catamaran {
namespace {

using Json = nlohmann::json;

struct PointName {
  const char* name;
  spec::Hook* (spec::Hooks::*add)();
};
constexpr PointName kPoints[] = {
    {"prestart", &spec::Hooks::add_prestart},
    {"createRuntime", &spec::Hooks::add_create_runtime},
    {"createContainer", &spec::Hooks::add_create_container},
    {"startContainer", &spec::Hooks::add_start_container},
    {"poststart", &spec::Hooks::add_poststart},
    {"poststop", &spec::Hooks::add_poststop},
};

class Hooks : public EngineTest {
 protected:
  void SetUp() override {
    EngineTest::SetUp();
    CreateSandbox();
    std::filesystem::create_directories(Notes());
    chmod(Notes().c_str(), 0777);
  }

  std::filesystem::path Notes() const { return folder_ / "notes"; }

  // A hook of the machine, or, of startContainer, of the container: the probe with these words.
  spec::Hook* Add(spec::ContainerSpec& spec, const PointName& point,
                  const std::vector<std::string>& words) {
    spec::Hook* hook = (spec.mutable_hooks()->*point.add)();
    const bool inside = strcmp(point.name, "startContainer") == 0;
    hook->set_path(inside ? "/probe" : (MakeImage("probe") / "probe").string());
    hook->add_args("probe");
    for (const auto& word : words) hook->add_args(word);
    return hook;
  }

  // The container sees the notes where the machine does.
  spec::ContainerSpec SpecWithNotes(const std::string& id, const std::vector<std::string>& words) {
    auto spec = ProbeSpec(id, words);
    auto* mount = spec.add_mounts();
    mount->set_host_path(Notes());
    mount->set_container_path(Notes());
    return spec;
  }

  static Deadline Soon() { return Deadline::After(std::chrono::seconds(30)); }
  std::string Note(const std::string& name) { return (Notes() / name).string(); }
  Report ReadNote(const std::string& name) {
    return ParseReport(ReadFile(Notes() / name).value_or(""));
  }
  bool Noted(const std::string& name) { return Exists(Notes() / name); }

  // Where the bundle may say that a root file system is: older kernels need another place for it.
  std::array<std::string, 2> RootsInTheBundle() const {
    return {(folder_ / "state/mounts/root").string(),
            (folder_ / "state/mounts/parts/o0-m").string()};
  }
};

TEST_F(Hooks, RunAtTheirPointsInOrderWithTheStateAsInput) {
  auto spec = SpecWithNotes("one", {"to:" + Note("order"), "echo:process"});
  (*spec.mutable_annotations())["color"] = "blue";
  for (const auto& point : kPoints)
    Add(spec, point,
        {"to:" + Note("order"), std::string("echo:") + point.name, "to:" + Note(point.name),
         "stdin"});
  auto created = Create(spec);
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(ReadFile(Note("order")).value_or(""),
            "echo=prestart\necho=createRuntime\necho=createContainer\n");
  auto started = Start("one");
  ASSERT_TRUE(started) << started.error().message;
  WaitExit("one");
  ASSERT_TRUE(Remove("one"));
  const std::string order = ReadFile(Note("order")).value_or("");
  EXPECT_TRUE(order.ends_with("echo=poststop\n")) << order;
  // The process runs at the same time as the hooks of its start.
  EXPECT_LT(order.find("echo=startContainer"), order.find("echo=process")) << order;
  EXPECT_NE(order.find("echo=poststart"), std::string::npos) << order;

  const std::map<std::string, std::pair<std::string, int>> expected = {
      {"prestart", {"creating", created->pid()}}, {"createRuntime", {"creating", created->pid()}},
      {"createContainer", {"creating", 1}},       {"startContainer", {"created", 1}},
      {"poststart", {"running", created->pid()}}, {"poststop", {"stopped", 0}}};
  for (const auto& point : kPoints) {
    const Json state = Json::parse(ReadNote(point.name)["stdin"], nullptr, false);
    ASSERT_TRUE(state.is_object()) << point.name;
    EXPECT_EQ(state["id"], "one") << point.name;
    EXPECT_EQ(state["status"], expected.at(point.name).first) << point.name;
    EXPECT_EQ(state.value("pid", 0), expected.at(point.name).second) << point.name;
    EXPECT_EQ(state["annotations"]["color"], "blue") << point.name;
    EXPECT_EQ(state["bundle"], (folder_ / "state/bundles/one").string()) << point.name;
    EXPECT_TRUE(state["ociVersion"].is_string()) << point.name;
  }
}

TEST_F(Hooks, RunInTheNamespacesOfTheirPoint) {
  auto spec = SpecWithNotes("one", {"hostname"});
  const auto roots = RootsInTheBundle();
  for (const auto& point : kPoints)
    Add(spec, point,
        {"to:" + Note(point.name), "hostname", "stat:" + roots[0] + "/probe",
         "stat:" + roots[1] + "/probe", "fds", "pid"});
  const auto seen_from = [&](const char* point) {
    auto note = ReadNote(point);
    return std::count_if(roots.begin(), roots.end(), [&](const std::string& root) {
      const std::string found = note["stat " + root + "/probe"];
      EXPECT_TRUE(found == "ENOENT" || found.starts_with("file")) << point << ": " << found;
      return found != "ENOENT";
    });
  };
  Run(spec);
  char own[65] = {};
  gethostname(own, sizeof own);
  for (const char* point : {"prestart", "createRuntime", "poststart"}) {
    EXPECT_EQ(ReadNote(point)["hostname"], own) << point;
    EXPECT_EQ(seen_from(point), 0) << point;
  }
  // The machine's files are there still, the container's are where the bundle says.
  EXPECT_EQ(ReadNote("createContainer")["hostname"], "pod-host");
  EXPECT_EQ(seen_from("createContainer"), 1);
  EXPECT_EQ(ReadNote("startContainer")["hostname"], "pod-host");
  EXPECT_EQ(seen_from("startContainer"), 0);
  for (const char* point : {"createRuntime", "createContainer", "startContainer"})
    EXPECT_EQ(ReadNote(point)["fds"], "0,1,2") << point;
}

TEST_F(Hooks, FindTheRootAndTheProcessInTheBundle) {
  auto spec = SpecWithNotes("one", {"echo:x"});
  spec.mutable_process()->add_env("NAME=value");
  const std::string file = (folder_ / "state/bundles/one/config.json").string();
  Add(spec, kPoints[2], {"to:" + Note("config"), "read:" + file});
  Run(spec);
  const Json config = Json::parse(ReadNote("config")["read " + file], nullptr, false);
  ASSERT_TRUE(config.is_object());
  const auto roots = RootsInTheBundle();
  EXPECT_TRUE(std::count(roots.begin(), roots.end(), config["root"]["path"].get<std::string>()))
      << config["root"]["path"];
  EXPECT_EQ(config["process"]["args"], Json({"/probe", "echo:x"}));
  EXPECT_EQ(config["process"]["env"], Json({"NAME=value"}));
  ASSERT_TRUE(Remove("one"));
  EXPECT_FALSE(Exists(file));
}

TEST_F(Hooks, OfTheContainerAreConfinedAsItsProcessIs) {
  auto spec = SpecWithNotes("one", {"echo:x"});
  spec.mutable_process()->mutable_user()->set_user("1000:1000");
  spec.mutable_process()->set_no_new_privileges(true);
  spec.mutable_process()->mutable_seccomp()->set_kind(spec::SeccompProfile::RUNTIME_DEFAULT);
  Add(spec, kPoints[3], {"to:" + Note("hook"), "ids", "caps", "nnp", "seccomp"});
  Run(spec);
  auto report = ReadNote("hook");
  EXPECT_EQ(report["ids"], "1000,1000,1000:1000,1000,1000:1000");
  EXPECT_EQ(report["CapEff"], "0000000000000000");
  EXPECT_EQ(report["nnp"], "1");
  EXPECT_EQ(report["seccomp"], "2");
}

TEST_F(Hooks, HaveTheirOwnEnvironmentOnly) {
  auto spec = SpecWithNotes("one", {"echo:x"});
  Add(spec, kPoints[1], {"to:" + Note("hook"), "env:PATH", "env:MINE"})->add_env("MINE=yes");
  Run(spec);
  EXPECT_EQ(ReadNote("hook")["env PATH"], "unset");
  EXPECT_EQ(ReadNote("hook")["env MINE"], "yes");
}

TEST_F(Hooks, ThatFailBeforeTheStartUndoTheCreation) {
  for (const auto& point : {kPoints[0], kPoints[1], kPoints[2]}) {
    const std::string id = NextId();
    auto spec = SpecWithNotes(id, {"echo:x"});
    Add(spec, point, {"echo:broken", "exit:3"});
    Add(spec, point, {"to:" + Note("second-" + id)});
    Add(spec, kPoints[5], {"to:" + Note("poststop-" + id)});
    const auto created = Create(spec);
    ASSERT_FALSE(created) << point.name;
    EXPECT_EQ(created.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_NE(created.error().message.find(std::string("hook ") + point.name + "[0]"),
              std::string::npos)
        << created.error().message;
    EXPECT_NE(created.error().message.find("exit status 3: echo=broken"), std::string::npos)
        << created.error().message;
    EXPECT_FALSE(Noted("second-" + id)) << "those after it are not run";
    EXPECT_TRUE(Noted("poststop-" + id)) << "what the first ones did is undone";
  }
  EXPECT_EQ(List().containers_size(), 0);
}

TEST_F(Hooks, ThatFailAtTheStartEndTheContainer) {
  for (const auto& point : {kPoints[3], kPoints[4]}) {
    const std::string id = NextId();
    auto spec = SpecWithNotes(id, {"forever"});
    Add(spec, point, {"kill-self:9"});
    ASSERT_TRUE(Create(spec));
    const auto started = Start(id);
    ASSERT_FALSE(started) << point.name;
    EXPECT_NE(started.error().message.find("killed by signal 9"), std::string::npos)
        << started.error().message;
    const auto status = List().containers(static_cast<int>(List().containers_size()) - 1);
    EXPECT_EQ(status.state(), spec::EXITED) << point.name;
    EXPECT_EQ(status.exit().exit_code(), 128) << point.name;
  }
}

TEST_F(Hooks, ThatCannotBeExecutedSayWhy) {
  auto spec = ProbeSpec("one", {"echo:x"});
  Add(spec, kPoints[1], {})->set_path("/does/not/exist");
  const auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message.find("/does/not/exist"), std::string::npos);
  EXPECT_NE(created.error().message.find("No such file or directory"), std::string::npos)
      << created.error().message;
}

TEST_F(Hooks, ThatTakeTooLongAreKilled) {
  for (const auto& point : {kPoints[1], kPoints[2]}) {
    const std::string id = NextId();
    auto spec = SpecWithNotes(id, {"echo:x"});
    Add(spec, point, {"to:" + Note("pid-" + id), "pid", "forever"})->set_timeout_seconds(1);
    const auto created = Create(spec);
    ASSERT_FALSE(created) << point.name;
    EXPECT_NE(created.error().message.find("did not end within 1 s"), std::string::npos)
        << created.error().message;
  }
  const int pid = atoi(ReadNote("pid-c1")["pid"].c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(Hooks, ThatRunDoNotHoldUpOtherVerbsAndAreKilledByTheRemoval) {
  auto spec = SpecWithNotes("one", {"echo:x"});
  Add(spec, kPoints[1], {"to:" + Note("pid"), "pid", "forever"});
  pod::CreateContainerRequest request;
  *request.mutable_container() = spec;
  std::optional<Result<pod::CreateContainerResponse>> created;
  backend_->CreateContainer(request, {}, [&](auto result) { created = std::move(result); });
  ASSERT_TRUE(Await([&] { return !ReadNote("pid")["pid"].empty(); }));
  EXPECT_EQ(Run(ProbeSpec("two", {"echo:there"}))["echo"], "there");
  EXPECT_FALSE(created.has_value());
  ASSERT_TRUE(Remove("one"));
  ASSERT_TRUE(created.has_value());
  ASSERT_FALSE(*created);
  EXPECT_EQ(created->error().code, ErrorCode::kAborted) << created->error().message;
  const int pid = atoi(ReadNote("pid")["pid"].c_str());
  EXPECT_TRUE(Await([&] { return kill(pid, 0) == -1; })) << "the hook is left";
}

TEST_F(Hooks, OfTheStartThatRunWhenTheContainerIsRemovedAreKilled) {
  auto spec = SpecWithNotes("one", {"forever"});
  Add(spec, kPoints[4], {"to:" + Note("pid"), "pid", "forever"});
  ASSERT_TRUE(Create(spec));
  pod::StartContainerRequest request;
  request.set_container_id("one");
  std::optional<Result<pod::StartContainerResponse>> started;
  backend_->StartContainer(request, [&](auto result) { started = std::move(result); });
  ASSERT_TRUE(Await([&] { return !ReadNote("pid")["pid"].empty(); }));
  ASSERT_TRUE(Remove("one"));
  ASSERT_TRUE(started.has_value());
  EXPECT_FALSE(*started);
}

TEST_F(Hooks, TheProcessThatEndsBeforeThoseOfItsStartIsToldAfterTheStart) {
  auto spec = SpecWithNotes("one", {"exit:7"});
  Add(spec, kPoints[4], {"wait-file:" + Note("go")});
  ASSERT_TRUE(Create(spec));
  pod::StartContainerRequest request;
  request.set_container_id("one");
  std::optional<Result<pod::StartContainerResponse>> started;
  backend_->StartContainer(request, [&](auto result) {
    EXPECT_TRUE(events_.empty());
    started = std::move(result);
  });
  Stdout("one");  // its end: the process is gone
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(loop_->RunOnce(std::chrono::milliseconds(20)));
  EXPECT_FALSE(started.has_value());
  ASSERT_TRUE(ReplaceFile(Note("go"), "", 0644, Durability::kProcessCrash));
  ASSERT_TRUE(Await([&] { return started.has_value(); }));
  EXPECT_TRUE(*started);
  EXPECT_EQ(WaitExit("one").exit_code(), 7);
}

TEST_F(Hooks, ThatFailAfterTheEndAreOnlyTold) {
  auto spec = SpecWithNotes("one", {"echo:x"});
  Add(spec, kPoints[5], {"exit:4"});
  Add(spec, kPoints[5], {"to:" + Note("second")});
  Run(spec);
  ASSERT_TRUE(Remove("one"));
  EXPECT_TRUE(Noted("second"));
  ASSERT_FALSE(events_.empty());
  EXPECT_EQ(events_.back().warning().container_id(), "one");
  EXPECT_NE(events_.back().warning().text().find("poststop[0]"), std::string::npos);
}

// Whoever cleans up after an engine that was killed finds in the bundles what it had not done.
TEST_F(Hooks, OfTheEndAreFoundByWhoeverCleansUp) {
  for (const char* id : {"one", "two"}) {
    auto spec = ProbeSpec(id, {"echo:x"});
    (*spec.mutable_annotations())["color"] = "blue";
    Add(spec, kPoints[5], {"to:" + Note(id), "stdin"});
    Add(spec, kPoints[5], {std::string("exit:") + (id == std::string("one") ? "0" : "3")});
    ASSERT_TRUE(Create(spec));
  }
  ASSERT_TRUE(Create(ProbeSpec("three", {"echo:x"})));
  const std::string bundles = (folder_ / "state/bundles").string();
  EXPECT_FALSE(Noted("one"));
  const std::string failures = RunLeftHooks(bundles, Soon());
  EXPECT_EQ(failures.find("container two: hook poststop[1]"), 0u) << failures;
  EXPECT_NE(failures.find("exit status 3"), std::string::npos) << failures;
  for (const char* id : {"one", "two"}) {
    const Json state = Json::parse(ReadNote(id)["stdin"], nullptr, false);
    ASSERT_TRUE(state.is_object()) << id;
    EXPECT_EQ(state["id"], id);
    EXPECT_EQ(state["status"], "stopped");
    EXPECT_EQ(state["annotations"]["color"], "blue");
    std::filesystem::remove(Note(id));
  }
  EXPECT_EQ(ListDirectory(bundles).value(), std::vector<std::string>());
  EXPECT_EQ(RunLeftHooks(bundles, Soon()), "");
  EXPECT_FALSE(Noted("one")) << "they run once";
  EXPECT_EQ(RunLeftHooks(bundles + "/absent", Soon()), "");
}

TEST_F(Hooks, OfTheEndThatHangAreLeftToTheNextWhoCleansUp) {
  auto spec = ProbeSpec("one", {"echo:x"});
  Add(spec, kPoints[5], {"to:" + Note("pid"), "pid", "forever"})->set_timeout_seconds(2);
  ASSERT_TRUE(Create(spec));
  const std::string bundles = (folder_ / "state/bundles").string();
  const std::string failures = RunLeftHooks(bundles, Deadline::After(std::chrono::seconds(1)));
  EXPECT_NE(failures.find("did not end within 1 s"), std::string::npos) << failures;
  const int pid = atoi(ReadNote("pid")["pid"].c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(ListDirectory(bundles).value(), std::vector<std::string>{"one"});
}

TEST_F(Hooks, WithoutAnAbsolutePathAreRefused) {
  auto spec = ProbeSpec("one", {"echo:x"});
  Add(spec, kPoints[2], {})->set_path("bin/hook");
  const auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(created.error().message.find("hooks.createContainer[0].path \"bin/hook\""),
            std::string::npos)
      << created.error().message;
}

}  // namespace
}  // namespace catamaran
