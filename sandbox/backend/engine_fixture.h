#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/backend/namespace_backend.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/user_namespace.h"

namespace catamaran {

// What a probe printed, by key.
using Report = std::map<std::string, std::string>;
Report ParseReport(const std::string& output);

// One engine on a loop of its own, driven from the test's thread; folders and groups are unique to
// the test. At the end the sandbox is destroyed and nothing of it may be left: no process, mount,
// cgroup, file or descriptor. Needs root and no other program.
class EngineTest : public ::testing::Test {
 protected:
  struct Output {
    std::string out;
    std::string err;
    bool out_open = true;
    bool err_open = true;
  };

  void SetUp() override;
  void TearDown() override;

  // ---- Specs that work, to be changed by tests ----
  spec::SandboxSpec SandboxSpec();
  // Runs the probe with these words.
  spec::ContainerSpec ProbeSpec(const std::string& id, const std::vector<std::string>& words);
  // An image: an empty folder with the probe in it.
  std::filesystem::path MakeImage(const std::string& name);
  // Why not, where this kernel cannot id-map the file system in which those folders are: nothing
  // runs in a user namespace then.
  Status CanIdMapImages();
  // Path of a new network namespace, which the test keeps; owned by a new user namespace where maps
  // are given.
  std::string MakeNetworkNamespace();
  std::string MakeNetworkNamespace(const IdMaps& owner);

  // ---- Verbs, waited for ----
  void CreateSandbox() { CreateSandbox(SandboxSpec()); }
  void CreateSandbox(const spec::SandboxSpec& spec);
  Result<pod::CreateSandboxResponse> TryCreateSandbox(const spec::SandboxSpec& spec);
  Status DestroySandbox();
  Result<pod::CreateContainerResponse> Create(const spec::ContainerSpec& spec);
  Result<pod::StartContainerResponse> Start(const std::string& id);
  Status Signal(const std::string& id, int signal, bool all = false);
  Status Remove(const std::string& id);
  Result<pod::ExecResponse> Exec(const std::string& id, const std::string& exec_id,
                                 const std::vector<std::string>& args, bool terminal = false);
  // The exit event; fails the test where none comes.
  spec::ExitStatus WaitExit(const std::string& id, const std::string& exec_id = "");
  pod::ListResponse List();

  // Create, Start and the exit; what was printed.
  Report Run(const spec::ContainerSpec& spec);
  Report Run(const std::vector<std::string>& words) { return Run(ProbeSpec(NextId(), words)); }
  // Create and Start of something that stays.
  void StartForever(const std::string& id, std::vector<std::string> words = {});

  // What a process wrote so far; all of it once it has ended and its pipes are closed.
  const std::string& Stdout(const std::string& id, const std::string& exec_id = "");
  const std::string& Stderr(const std::string& id, const std::string& exec_id = "");
  void WaitForOutput(const std::string& id, const std::string& text,
                     const std::string& exec_id = "");
  UniqueFd& StdinOf(const std::string& id) { return stdin_[Key(id, "")]; }
  static std::string Key(const std::string& id, const std::string& exec_id) {
    return id + "/" + exec_id;
  }
  std::string NextId() { return "c" + std::to_string(++counter_); }

  // Runs the loop until the condition holds, 60 s at most.
  template <typename Condition>
  bool Await(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(20)));
    }
    return true;
  }
  // Calls a verb with a completion and waits for it.
  template <typename T, typename Verb>
  Result<T> Complete(Verb verb) {
    std::optional<Result<T>> outcome;
    verb([&outcome](Result<T> result) { outcome = std::move(result); });
    if (!Await([&] { return outcome.has_value(); }))
      return Fail(ErrorCode::kDeadlineExceeded, "the verb did not complete");
    return std::move(*outcome);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SandboxBackend> backend_;
  std::filesystem::path folder_;
  std::string pod_id_;
  std::vector<pod::Event> events_;
  std::map<std::string, UniqueFd> stdin_;  // the ends that tests write to

 private:
  Stdio MakeStdio(const std::string& key);
  void ReadInto(UniqueFd fd, std::string& text, bool& open);
  struct Reader {
    UniqueFd fd;
    EventLoop::Watch watch;
  };
  std::map<std::string, std::unique_ptr<Output>> outputs_;
  std::vector<std::unique_ptr<Output>> earlier_outputs_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<UniqueFd> network_namespaces_;
  std::string mounts_before_;
  std::vector<std::string> descriptors_before_;
  int counter_ = 0;
};

}  // namespace catamaran
