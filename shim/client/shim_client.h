#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "shim/client/shim_paths.h"

namespace catamaran {

// The daemon's end of one pod's shim: the verbs of SandboxBackend as blocking calls with a
// deadline, plus what only a shim has (logs, exit journal). Thread-safe. Destroying it leaves the
// shim and its pod alone.
//
// Calls fail with kUnavailable when the shim is gone (alive() then says so), kDeadlineExceeded
// when it did not answer in time: it may still carry the request out.
class ShimClient {
 public:
  struct Events {
    // Called on the watcher's thread; must not block and must not call back into the client.
    std::function<void(const pod::Event&)> on_event;
    // The shim closed its socket and freed its lock: nothing more will come. Once.
    std::function<void()> on_gone;
  };

  virtual ~ShimClient() = default;

  virtual Result<pod::HelloResponse> Hello(Deadline deadline) = 0;
  virtual Result<pod::PrepareSandboxResponse> PrepareSandbox(
      const pod::PrepareSandboxRequest& request, Deadline deadline) = 0;
  virtual Result<pod::CreateSandboxResponse> CreateSandbox(const pod::CreateSandboxRequest& request,
                                                           Deadline deadline) = 0;
  virtual Status DestroySandbox(Deadline deadline) = 0;
  // The shim makes the container's pipes itself: it owns logs and attach.
  virtual Result<pod::CreateContainerResponse> CreateContainer(
      const pod::CreateContainerRequest& request, Deadline deadline) = 0;
  virtual Result<pod::StartContainerResponse> StartContainer(const ContainerId& container,
                                                             Deadline deadline) = 0;
  virtual Status Signal(const pod::SignalRequest& request, Deadline deadline) = 0;
  virtual Status RemoveContainer(const ContainerId& container, Deadline deadline) = 0;
  // stdio's descriptors are given to the shim. The end of the process is an event.
  virtual Result<pod::ExecResponse> Exec(const pod::ExecRequest& request, Stdio stdio,
                                         Deadline deadline) = 0;
  virtual Status CloseStdin(const pod::CloseStdinRequest& request, Deadline deadline) = 0;
  virtual Status ResizeTerminal(const pod::ResizeTerminalRequest& request, Deadline deadline) = 0;
  virtual Status UpdateResources(const pod::UpdateResourcesRequest& request, Deadline deadline) = 0;
  virtual Result<spec::SandboxStats> Stats(const pod::StatsRequest& request, Deadline deadline) = 0;
  // The same without waiting, for those who ask many shims: `answered` is called once, on the
  // watcher's thread (see Events), when the shim has answered or its connection has ended.
  virtual void AskStats(const pod::StatsRequest& request,
                        std::function<void(Result<spec::SandboxStats>)> answered) = 0;
  // What is: also the exits that happened while no daemon was connected.
  virtual Result<pod::ListResponse> List(Deadline deadline) = 0;
  virtual Result<UniqueFd> DialPort(uint32_t port, Deadline deadline) = 0;
  virtual Status ReopenLog(const ContainerId& container, Deadline deadline) = 0;
  // Joins a container that runs. stdio.out and stdio.err, where valid, are given away and get what
  // it writes from now on, beside its log; they end with it, and where their reader takes nothing
  // for a second. The answer is the write end of its standard input where request.in() asks for it,
  // invalid where the container has none.
  virtual Result<UniqueFd> Attach(const pod::AttachRequest& request, Stdio stdio,
                                  Deadline deadline) = 0;
  // Ends the shim: it writes its last facts, answers and exits. Returns once its lock is free.
  virtual Status Shutdown(Deadline deadline) = 0;

  virtual bool alive() const = 0;
};

// Starts shims and watches all of the daemon's connections on one thread of its own. Thread-safe.
class ShimManager {
 public:
  struct Options {
    std::string shim_program;  // path of catamaran-shim, copied once into a sealed memfd
  };
  static Result<std::unique_ptr<ShimManager>> Create(const Options& options);
  virtual ~ShimManager() = default;

  enum class Backend { kNamespaces, kVm, kFake };
  // Spawns a shim for a new pod (its folder exists) and connects to it. The lock is taken before
  // the process exists and handed to it, so there is no moment at which a living shim looks gone.
  // cgroup_path: where the shim puts itself (leaf "shim") before it does anything else; empty: it
  // stays where it is, for the caller to move.
  virtual Result<std::shared_ptr<ShimClient>> Spawn(const PodId& pod, const ShimPaths& paths,
                                                    Backend backend, const std::string& cgroup_path,
                                                    ShimClient::Events events,
                                                    Deadline deadline) = 0;
  // Connects to the shim of an earlier daemon. kNotFound where its lock is free: it is gone.
  virtual Result<std::shared_ptr<ShimClient>> Reconnect(const PodId& pod, const ShimPaths& paths,
                                                        ShimClient::Events events,
                                                        Deadline deadline) = 0;

  // Makes sure that the process which keeps VM templates for the shims lives (see ShimPaths for its
  // files; its socket is a machine's template_socket), and keeps it alive for as long as this
  // exists. Cheap where it does. A VM starts without it too, only slower.
  virtual Status KeepTemplates(const ShimPaths& paths, const HostPath& root) = 0;

  // What a shim that is gone wrote down: the exits it saw. Empty where there is no journal.
  static Result<std::vector<pod::ProcessExited>> ReadJournal(const ShimPaths& paths);
  static bool IsGone(const ShimPaths& paths);
};

}  // namespace catamaran
