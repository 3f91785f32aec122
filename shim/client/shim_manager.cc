#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/cleanup.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "shim/client/journal_format.h"
#include "shim/client/shim_client_impl.h"
#include "shim/client/shim_lock.h"
#include "shim/client/shim_spawn.h"
#include "shim/client/template_keeper_link.h"

namespace catamaran {
namespace {

using Holder = ShimLockState::Holder;

// A process that got SIGKILL ends within this, or it is stuck in the kernel.
constexpr std::chrono::seconds kKillLimit(5);
constexpr std::chrono::milliseconds kLookAgain(2);

std::string_view NameOf(ShimManager::Backend backend) {
  switch (backend) {
    case ShimManager::Backend::kNamespaces:
      return "ns";
    case ShimManager::Backend::kVm:
      return "vm";
    case ShimManager::Backend::kFake:
      return "fake";
  }
  return "ns";
}

class ShimManagerImpl final : public ShimManager {
 public:
  ShimManagerImpl(UniqueFd program, std::shared_ptr<Watcher> watcher)
      : program_(std::move(program)), watcher_(std::move(watcher)), keeper_(program_, *watcher_) {}

  Result<std::shared_ptr<ShimClient>> Spawn(const PodId& pod, const ShimPaths& paths,
                                            Backend backend, const std::string& cgroup_path,
                                            ShimClient::Events events, Deadline deadline) override;
  Result<std::shared_ptr<ShimClient>> Reconnect(const PodId& pod, const ShimPaths& paths,
                                                ShimClient::Events events,
                                                Deadline deadline) override;
  Status KeepTemplates(const ShimPaths& paths, const HostPath& root) override {
    return keeper_.Ensure(paths, root);
  }

 private:
  const UniqueFd program_;
  const std::shared_ptr<Watcher> watcher_;
  TemplateKeeperLink keeper_;
};

// Why a shim never answered, in its own words where it left any.
Error WhyNot(Error error, const ShimPaths& paths) {
  auto reason = ReadFile((paths.folder / kShimErrorFile).value(), 64 << 10);
  if (!reason) return std::move(error).While("the shim did not answer");
  return {ErrorCode::kInternal, 0, "the shim could not start: " + *reason};
}

Result<std::shared_ptr<ShimClient>> ShimManagerImpl::Spawn(const PodId& pod, const ShimPaths& paths,
                                                           Backend backend,
                                                           const std::string& cgroup_path,
                                                           ShimClient::Events events,
                                                           Deadline deadline) {
  ASSIGN_OR_RETURN(auto lock, LockForShim(paths));
  // Last of all, once nobody can hold it: a lock file without a shim is a shim that is gone.
  Cleanup cleanup([&paths] {
    for (const HostPath& path : {paths.lock(), paths.folder / kShimErrorFile})
      (void)RemoveIfExists(path.value());
  });
  (void)RemoveIfExists((paths.folder / kShimErrorFile).value());
  ASSIGN_OR_RETURN(auto listener, ListenUnix(paths.socket().string()));
  cleanup.Add([&paths] { (void)RemoveIfExists(paths.socket().value()); });
  const std::vector<std::string> args = {"catamaran-shim",
                                         "--pod-id",
                                         pod.value(),
                                         "--folder",
                                         paths.folder.string(),
                                         "--backend",
                                         std::string(NameOf(backend)),
                                         "--cgroup",
                                         cgroup_path};
  ASSIGN_OR_RETURN(
      auto process,
      SpawnProgram(program_, args, {{listener.get(), kShimListenerFd}, {lock.get(), kShimLockFd}}));
  AbortStep();
  lock.Reset();
  listener.Reset();
  UniqueFd own_pidfd(fcntl(process.pidfd.get(), F_DUPFD_CLOEXEC, 0));
  watcher_->ReapLater(std::move(process.pidfd));
  if (!own_pidfd.valid()) {
    kill(process.pid, SIGKILL);
    return FailWithErrno("duplicate a pidfd");
  }
  // Its callbacks begin with the first answer: a shim that never was is not "gone".
  auto connection = std::make_shared<ShimConnection>(watcher_->loop(), paths, std::move(own_pidfd),
                                                     std::move(events));
  auto client = std::make_shared<ShimClientImpl>(watcher_, pod, connection);
  auto hello = client->Open(deadline);
  if (!hello) {
    connection->Mute();
    syscall(SYS_pidfd_send_signal, connection->pidfd(), SIGKILL, nullptr, 0);
    connection->WaitGone(Deadline::After(kKillLimit));
    return tl::unexpected(WhyNot(std::move(hello).error(), paths));
  }
  cleanup.Dismiss();
  return client;
}

// The pidfd of the shim that holds the lock; waits for one that is being born.
Result<UniqueFd> FindShim(const ShimPaths& paths, Deadline deadline) {
  while (true) {
    ASSIGN_OR_RETURN(const auto state, LookAtLock(paths));
    if (state.holder == Holder::kNobody)
      return Fail(ErrorCode::kNotFound, "nobody holds {}", paths.lock().string());
    if (state.holder == Holder::kShim) {
      UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, state.shim, 0)));
      if (!pidfd.valid() && errno != ESRCH)
        return FailWithErrno("pidfd_open of shim {}", state.shim);
      // The number may have passed to another process between the two calls.
      ASSIGN_OR_RETURN(const auto again, LookAtLock(paths));
      if (pidfd.valid() && again.holder == Holder::kShim && again.shim == state.shim) return pidfd;
    }
    if (deadline.expired())
      return Fail(ErrorCode::kDeadlineExceeded, "the shim behind {} does not come up",
                  paths.lock().string());
    std::this_thread::sleep_for(kLookAgain);
  }
}

Result<std::shared_ptr<ShimClient>> ShimManagerImpl::Reconnect(const PodId& pod,
                                                               const ShimPaths& paths,
                                                               ShimClient::Events events,
                                                               Deadline deadline) {
  ASSIGN_OR_RETURN(auto pidfd, FindShim(paths, deadline));
  auto client = std::make_shared<ShimClientImpl>(
      watcher_, pod,
      std::make_shared<ShimConnection>(watcher_->loop(), paths, std::move(pidfd),
                                       std::move(events)));
  auto hello = client->Open(deadline);
  if (hello) return client;
  client->connection().Mute();
  if (IsGone(paths)) return Fail(ErrorCode::kNotFound, "the shim of pod {} is gone", pod.value());
  return tl::unexpected(std::move(hello).error().While("shim of pod " + pod.value()));
}

}  // namespace

Result<std::unique_ptr<ShimManager>> ShimManager::Create(const Options& options) {
  ASSIGN_OR_RETURN(auto program, OpenProgramForShims(options.shim_program));
  ASSIGN_OR_RETURN(auto watcher, Watcher::Create());
  return std::unique_ptr<ShimManager>(new ShimManagerImpl(std::move(program), std::move(watcher)));
}

Result<std::vector<pod::ProcessExited>> ShimManager::ReadJournal(const ShimPaths& paths) {
  return ReadJournalFile(paths.journal().string());
}

bool ShimManager::IsGone(const ShimPaths& paths) {
  const auto state = LookAtLock(paths);
  // What cannot be read cannot be called gone.
  return state && state->holder == Holder::kNobody;
}

}  // namespace catamaran
