#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/fake_process.h"
#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// A SandboxBackend without a kernel behind it: containers are entries in a map, and what a process
// "does" is read from its arguments. For tests of everything above the seam, and for
// `catamaran-shim --backend fake`.
//
//   exit N             ends with N as soon as it is started
//   kill N             ends by signal N as soon as it is started
//   oom                an OOM kill, then 137
//   print TEXT...      writes the words and a newline to stdout, ends with 0
//   lines N LENGTH     N numbered lines of LENGTH bytes, alternately to stdout and stderr, then 0
//   cat                copies stdin to stdout until its end, then 0
//   trap               as below, but only SIGKILL ends it
//   anything else      runs until a signal ends it (128+n)
// and at the start of the arguments: `fail-create CODE`, `fail-start CODE` (an ErrorCode's number).
// Ports: 7 dials an echo; every other is refused. UpdateResources, Pause and Resume succeed.
class FakeBackend final : public SandboxBackend {
 public:
  explicit FakeBackend(EventLoop& loop);
  ~FakeBackend() override = default;

  void SetEventSink(EventSink sink) override;
  void PrepareSandbox(const pod::PrepareSandboxRequest& request,
                      Completion<pod::PrepareSandboxResponse> done) override;
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void DestroySandbox(Done done) override;
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override;
  void Signal(const pod::SignalRequest& request, Done done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override;
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override;
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override;
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override;
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override;
  void List(Completion<pod::ListResponse> done) override;
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override;
  void Pause(Done done) override;
  void Resume(Done done) override;

 private:
  struct Container {
    std::vector<std::string> args;
    spec::ContainerStatus status;
    Stdio stdio;  // until it is started
  };
  void Run(const spec::ProcessRef& process, std::vector<std::string> args, Stdio stdio);
  void OnEnd(const spec::ProcessRef& process, FakeProcess::End end);
  void Emit(const pod::Event& event);

  EventLoop& loop_;
  EventSink sink_;
  std::vector<pod::Event> early_events_;
  bool has_sandbox_ = false;
  int next_pid_ = 100;
  std::map<std::string, Container> containers_;
  std::map<std::string, std::unique_ptr<FakeProcess>> processes_;  // "container/exec"
  UniqueFd echo_fd_;
  EventLoop::Watch echo_;
};

}  // namespace catamaran
