#pragma once

#include <cstdint>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"

namespace catamaran {

// What a process reads and writes. The caller makes the pipes (or sockets), keeps one end of each
// and gives the other away here: on the host the process gets the descriptor itself; a backend in
// a guest pumps it. An invalid descriptor means /dev/null. With a terminal the engine makes the
// pty and pumps it to `in` and `out`; `err` is unused.
struct Stdio {
  UniqueFd in;   // the process reads from this
  UniqueFd out;  // and writes to these
  UniqueFd err;
};

// Called once, on the loop's thread, with the verb's outcome; maybe before the verb returns.
template <typename T>
using Completion = UniqueFunction<void(Result<T>)>;
using Done = Completion<void>;

// The seam that decides everything: one sandbox (pod) and its containers, behind which are
// namespaces on this kernel (NamespaceBackend), a VM whose agent runs that same NamespaceBackend
// (VmBackend), or either through a connection (BackendClient). RuntimeClass routing is "which of
// these does the shim start".
//
// One object serves one sandbox. Everything is called from the thread of the event loop the
// backend was made with and nothing blocks it: verbs complete later. Verbs of one container are
// carried out in the order given; those of different containers do not wait for one another. A
// backend that is destroyed drops its handles and leaves the sandbox alone: only DestroySandbox
// ends it. Every create verb undoes itself when it fails. Errors name the field that was wrong.
class SandboxBackend {
 public:
  using EventSink = UniqueFunction<void(const pod::Event&)>;

  virtual ~SandboxBackend() = default;

  // Exits (once per process, after the last byte of its output was handed over) and OOM kills.
  // Events before the first SetEventSink are kept for it.
  virtual void SetEventSink(EventSink sink) = 0;

  // Does what of CreateSandbox can be done ahead of the pod, for one that is not known yet: what
  // comes then is short, and is the same where this was not called. The sandbox is not ready by it;
  // if it is lost while it waits, that is the event of its failure. kUnimplemented where there is
  // nothing to gain, kUnavailable where what it takes is not there (yet): try again later.
  virtual void PrepareSandbox(const pod::PrepareSandboxRequest&,
                              Completion<pod::PrepareSandboxResponse> done) {
    done(Fail(ErrorCode::kUnimplemented, "nothing of this sandbox can be made ahead of its pod"));
  }
  // Makes the sandbox: namespaces, cgroup, files; a VM. kAlreadyExists if there is one.
  virtual void CreateSandbox(const pod::CreateSandboxRequest& request,
                             Completion<pod::CreateSandboxResponse> done) = 0;
  // Kills what runs in it and gives everything back. Idempotent.
  virtual void DestroySandbox(Done done) = 0;

  // Prepares the container up to, but not including, its first user instruction.
  virtual void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                               Completion<pod::CreateContainerResponse> done) = 0;
  // kFailedPrecondition unless CREATED. A program that cannot be executed fails here.
  virtual void StartContainer(const pod::StartContainerRequest& request,
                              Completion<pod::StartContainerResponse> done) = 0;
  // A process that has ended already is success.
  virtual void Signal(const pod::SignalRequest& request, Done done) = 0;
  // Kills it if it runs, then forgets it and its root file system. Unknown ids are success.
  virtual void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) = 0;

  // Starts another process in a running container; its end is an event with the exec id. Done
  // fails, and no event follows, where the program could not be executed.
  virtual void Exec(const pod::ExecRequest& request, Stdio stdio,
                    Completion<pod::ExecResponse> done) = 0;
  virtual void CloseStdin(const pod::CloseStdinRequest& request, Done done) = 0;
  virtual void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) = 0;

  // Partial: what is zero or empty stays. Applied to a container that runs or will, or to all of
  // the sandbox together where the request names no container: a memory limit below what is used
  // is kFailedPrecondition there.
  virtual void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) = 0;

  virtual void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) = 0;
  virtual void List(Completion<pod::ListResponse> done) = 0;

  // A connected stream socket to 127.0.0.1:port (then ::1) inside the sandbox's network.
  virtual void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) = 0;

  // Freezes and thaws every process of the sandbox.
  virtual void Pause(Done done) = 0;
  virtual void Resume(Done done) = 0;
};

}  // namespace catamaran
