#pragma once

#include <memory>

#include "shim/client/shim_client.h"
#include "shim/client/shim_connection.h"
#include "shim/client/watcher.h"

namespace catamaran {

// ShimClient over a connection that lives on the watcher's thread: every call is posted there and
// waited for.
class ShimClientImpl final : public ShimClient {
 public:
  ShimClientImpl(std::shared_ptr<Watcher> watcher, PodId pod,
                 std::shared_ptr<ShimConnection> connection)
      : watcher_(std::move(watcher)), pod_(std::move(pod)), connection_(std::move(connection)) {}
  ~ShimClientImpl() override;

  Result<pod::HelloResponse> Open(Deadline deadline);
  ShimConnection& connection() { return *connection_; }

  Result<pod::HelloResponse> Hello(Deadline deadline) override;
  Result<pod::PrepareSandboxResponse> PrepareSandbox(const pod::PrepareSandboxRequest& request,
                                                     Deadline deadline) override;
  Result<pod::CreateSandboxResponse> CreateSandbox(const pod::CreateSandboxRequest& request,
                                                   Deadline deadline) override;
  Status DestroySandbox(Deadline deadline) override;
  Result<pod::CreateContainerResponse> CreateContainer(const pod::CreateContainerRequest& request,
                                                       Deadline deadline) override;
  Result<pod::StartContainerResponse> StartContainer(const ContainerId& container,
                                                     Deadline deadline) override;
  Status Signal(const pod::SignalRequest& request, Deadline deadline) override;
  Status RemoveContainer(const ContainerId& container, Deadline deadline) override;
  Result<pod::ExecResponse> Exec(const pod::ExecRequest& request, Stdio stdio,
                                 Deadline deadline) override;
  Status CloseStdin(const pod::CloseStdinRequest& request, Deadline deadline) override;
  Status ResizeTerminal(const pod::ResizeTerminalRequest& request, Deadline deadline) override;
  Status UpdateResources(const pod::UpdateResourcesRequest& request, Deadline deadline) override;
  Result<spec::SandboxStats> Stats(const pod::StatsRequest& request, Deadline deadline) override;
  void AskStats(const pod::StatsRequest& request,
                std::function<void(Result<spec::SandboxStats>)> answered) override;
  Result<pod::ListResponse> List(Deadline deadline) override;
  Result<UniqueFd> DialPort(uint32_t port, Deadline deadline) override;
  Status ReopenLog(const ContainerId& container, Deadline deadline) override;
  Result<UniqueFd> Attach(const pod::AttachRequest& request, Stdio stdio,
                          Deadline deadline) override;
  Status Shutdown(Deadline deadline) override;
  bool alive() const override { return !connection_->gone(); }

 private:
  template <typename T, typename Verb>
  Result<T> Call(Deadline deadline, Verb verb);

  const std::shared_ptr<Watcher> watcher_;
  const PodId pod_;
  std::shared_ptr<ShimConnection> connection_;
};

}  // namespace catamaran
