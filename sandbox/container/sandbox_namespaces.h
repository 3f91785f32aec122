#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/container/stage_channel.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/process.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The namespaces that the containers of a sandbox share, each pinned by a descriptor: no process
// keeps them, but where a pid namespace is shared its init does. An invalid descriptor means the
// machine's own.
struct SandboxNamespaces {
  UniqueFd user;  // owns the others but the mount namespace
  UniqueFd network;
  UniqueFd ipc;
  UniqueFd uts;
  // A mount namespace whose only mount is the sandbox's /dev/shm. Containers copy that mount from
  // here: a mount that is nowhere attached cannot be copied before Linux 6.15.
  UniqueFd shared_memory;
  ChildProcess init;  // of the shared pid namespace; not valid without one
};

// Makes them in a child: hostname, sysctls, loopback, /dev/shm. Reports once on the loop. The
// sandbox's user namespace is the one that owns its network namespace where it has one of those: it
// must have the maps asked for. The others are then made by a second child that is born in it.
// Destroying it before kills the child.
class SandboxNamespacesMaker {
 public:
  using Report = UniqueFunction<void(Result<SandboxNamespaces>)>;
  static Result<std::unique_ptr<SandboxNamespacesMaker>> Start(EventLoop& loop,
                                                               const spec::SandboxSpec& sandbox,
                                                               Report done);
  ~SandboxNamespacesMaker();

 private:
  explicit SandboxNamespacesMaker(StageChannel channel) : channel_(std::move(channel)) {}
  Status FindUserNamespace(const spec::SandboxSpec& sandbox);
  Status CloneOwner(const spec::SandboxSpec& sandbox, uint64_t namespaces);
  void OnReadable();
  Status Accept(StageMessage message);
  void Finish(Status status);

  StageChannel channel_;
  StageOrder order_;
  bool keeps_init_ = false;
  bool prepared_ = false;
  ChildProcess child_;
  ChildProcess owner_;  // where there is a user namespace: whose namespaces child_ joins
  EventLoop::Watch watch_;
  SandboxNamespaces made_;
  Report done_;
};

}  // namespace catamaran
