#pragma once

#include <map>
#include <memory>
#include <string>

#include "sandbox/backend/forwarding_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "shim/exit_journal.h"
#include "shim/log_hub.h"

namespace catamaran {

// A pod as the daemon sees it: the chosen backend, plus what only a shim does. It makes the
// containers' pipes and owns their near ends, has their output written to CRI logs, and journals
// each exit, once the output is in the log, before it reports it. List therefore also tells what
// happened while no daemon was connected; a container whose exit is not journaled yet is RUNNING.
//
// Exec'd processes get the daemon's descriptors and are not journaled.
class PodShim final : public ForwardingBackend {
 public:
  PodShim(EventLoop& loop, std::unique_ptr<SandboxBackend> backend, ExitJournal journal);

  // kNotFound, or kFailedPrecondition where the container does not run: no file is made then.
  void ReopenLog(const pod::ReopenLogRequest& request, Done done);
  // See ShimClient::Attach. kNotFound, or kFailedPrecondition where the container does not run.
  void Attach(const pod::AttachRequest& request, Stdio stdio, Completion<UniqueFd> done);
  // Ends the log process. The sandbox is left as it is.
  void Shutdown(Done done);

  void SetEventSink(EventSink sink) override;
  // The pipes are made here: `stdio` is ignored.
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override;
  void List(Completion<pod::ListResponse> done) override;

 private:
  struct Container {
    bool started = false;
    bool exited = false;
    bool never_ran = false;  // StartContainer failed: no exit event follows
    UniqueFd stdin_end;      // the write end of its standard input
  };

  Result<Container*> FindRunning(const std::string& id);
  void OnEvent(const pod::Event& event);
  void OnExit(const pod::Event& event);
  void Emit(const pod::Event& event);
  void Merge(pod::ListResponse& list) const;

  ExitJournal journal_;
  LogHub logs_;
  EventSink sink_;
  std::vector<pod::Event> early_events_;
  std::map<std::string, Container> containers_;
};

}  // namespace catamaran
