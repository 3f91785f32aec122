#include "shim/client/shim_client.h"

#include <optional>

#include "sandbox/base/trace.h"
#include "shim/client/shim_client_impl.h"
#include "shim/client/shim_connection.h"

namespace catamaran {
namespace {

// Where a call's outcome is left for the thread that waits for it, if it still does.
template <typename T>
struct Outcome {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<T>> result;

  void Set(Result<T> value) {
    {
      std::lock_guard lock(mutex);
      result.emplace(std::move(value));
    }
    arrived.notify_all();
  }
};

}  // namespace

ShimClientImpl::~ShimClientImpl() {
  connection_->Mute();
  watcher_->loop().Post([connection = std::move(connection_)] { connection->Close(); });
}

template <typename T, typename Verb>
Result<T> ShimClientImpl::Call(Deadline deadline, Verb verb) {
  auto outcome = std::make_shared<Outcome<T>>();
  watcher_->loop().Post([connection = connection_, outcome, verb = std::move(verb),
                         span = Span::Current()]() mutable {
    const SpanScope scope(span);
    Completion<T> done = [outcome](Result<T> result) { outcome->Set(std::move(result)); };
    BackendClient* client = connection->client();
    if (client == nullptr) return done(tl::unexpected(connection->reason()));
    verb(*client, std::move(done));
  });
  std::unique_lock lock(outcome->mutex);
  if (!outcome->arrived.wait_for(lock, deadline.Remaining(),
                                 [&] { return outcome->result.has_value(); }))
    return Fail(ErrorCode::kDeadlineExceeded, "the shim of pod {} did not answer in time",
                pod_.value());
  return std::move(*outcome->result);
}

Result<pod::HelloResponse> ShimClientImpl::Open(Deadline deadline) {
  auto outcome = std::make_shared<Outcome<pod::HelloResponse>>();
  watcher_->loop().Post([connection = connection_, outcome] {
    connection->Open([outcome](auto hello) { outcome->Set(std::move(hello)); });
  });
  std::unique_lock lock(outcome->mutex);
  if (!outcome->arrived.wait_for(lock, deadline.Remaining(),
                                 [&] { return outcome->result.has_value(); }))
    return Fail(ErrorCode::kDeadlineExceeded, "the shim of pod {} did not answer in time",
                pod_.value());
  return std::move(*outcome->result);
}

Result<pod::HelloResponse> ShimClientImpl::Hello(Deadline deadline) {
  return Call<pod::HelloResponse>(
      deadline, [](BackendClient& client, auto done) { client.Hello(std::move(done)); });
}

Result<pod::PrepareSandboxResponse> ShimClientImpl::PrepareSandbox(
    const pod::PrepareSandboxRequest& request, Deadline deadline) {
  return Call<pod::PrepareSandboxResponse>(deadline, [request](BackendClient& client, auto done) {
    client.PrepareSandbox(request, std::move(done));
  });
}

Result<pod::CreateSandboxResponse> ShimClientImpl::CreateSandbox(
    const pod::CreateSandboxRequest& request, Deadline deadline) {
  return Call<pod::CreateSandboxResponse>(deadline, [request](BackendClient& client, auto done) {
    client.CreateSandbox(request, std::move(done));
  });
}

Status ShimClientImpl::DestroySandbox(Deadline deadline) {
  return Call<void>(
      deadline, [](BackendClient& client, auto done) { client.DestroySandbox(std::move(done)); });
}

Result<pod::CreateContainerResponse> ShimClientImpl::CreateContainer(
    const pod::CreateContainerRequest& request, Deadline deadline) {
  return Call<pod::CreateContainerResponse>(deadline, [request](BackendClient& client, auto done) {
    client.CreateContainer(request, Stdio(), std::move(done));
  });
}

Result<pod::StartContainerResponse> ShimClientImpl::StartContainer(const ContainerId& container,
                                                                   Deadline deadline) {
  pod::StartContainerRequest request;
  request.set_container_id(container.value());
  return Call<pod::StartContainerResponse>(deadline, [request](BackendClient& client, auto done) {
    client.StartContainer(request, std::move(done));
  });
}

Status ShimClientImpl::Signal(const pod::SignalRequest& request, Deadline deadline) {
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.Signal(request, std::move(done));
  });
}

Status ShimClientImpl::RemoveContainer(const ContainerId& container, Deadline deadline) {
  pod::RemoveContainerRequest request;
  request.set_container_id(container.value());
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.RemoveContainer(request, std::move(done));
  });
}

Result<pod::ExecResponse> ShimClientImpl::Exec(const pod::ExecRequest& request, Stdio stdio,
                                               Deadline deadline) {
  return Call<pod::ExecResponse>(
      deadline, [request, stdio = std::move(stdio)](BackendClient& client, auto done) mutable {
        client.Exec(request, std::move(stdio), std::move(done));
      });
}

Status ShimClientImpl::CloseStdin(const pod::CloseStdinRequest& request, Deadline deadline) {
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.CloseStdin(request, std::move(done));
  });
}

Status ShimClientImpl::ResizeTerminal(const pod::ResizeTerminalRequest& request,
                                      Deadline deadline) {
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.ResizeTerminal(request, std::move(done));
  });
}

Status ShimClientImpl::UpdateResources(const pod::UpdateResourcesRequest& request,
                                       Deadline deadline) {
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.UpdateResources(request, std::move(done));
  });
}

Result<spec::SandboxStats> ShimClientImpl::Stats(const pod::StatsRequest& request,
                                                 Deadline deadline) {
  auto response = Call<pod::StatsResponse>(deadline, [request](BackendClient& client, auto done) {
    client.Stats(request, std::move(done));
  });
  if (!response) return tl::unexpected(std::move(response).error());
  return std::move(*response->mutable_stats());
}

void ShimClientImpl::AskStats(const pod::StatsRequest& request,
                              std::function<void(Result<spec::SandboxStats>)> answered) {
  watcher_->loop().Post([connection = connection_, request,
                         answered = std::move(answered)]() mutable {
    BackendClient* client = connection->client();
    if (client == nullptr) return answered(tl::unexpected(connection->reason()));
    client->Stats(request, [answered = std::move(answered)](Result<pod::StatsResponse> response) {
      if (!response) return answered(tl::unexpected(std::move(response).error()));
      answered(std::move(*response->mutable_stats()));
    });
  });
}

Result<pod::ListResponse> ShimClientImpl::List(Deadline deadline) {
  return Call<pod::ListResponse>(
      deadline, [](BackendClient& client, auto done) { client.List(std::move(done)); });
}

Result<UniqueFd> ShimClientImpl::DialPort(uint32_t port, Deadline deadline) {
  pod::DialPortRequest request;
  request.set_port(port);
  return Call<UniqueFd>(deadline, [request](BackendClient& client, auto done) {
    client.DialPort(request, std::move(done));
  });
}

Status ShimClientImpl::ReopenLog(const ContainerId& container, Deadline deadline) {
  pod::ReopenLogRequest request;
  request.set_container_id(container.value());
  return Call<void>(deadline, [request](BackendClient& client, auto done) {
    client.ReopenLog(request, std::move(done));
  });
}

Result<UniqueFd> ShimClientImpl::Attach(const pod::AttachRequest& request, Stdio stdio,
                                        Deadline deadline) {
  return Call<UniqueFd>(
      deadline, [request, stdio = std::move(stdio)](BackendClient& client, auto done) mutable {
        client.Attach(request, std::move(stdio), std::move(done));
      });
}

Status ShimClientImpl::Shutdown(Deadline deadline) {
  auto answered = Call<void>(
      deadline, [](BackendClient& client, auto done) { client.Shutdown(std::move(done)); });
  // It may die before its answer is read: that it is gone is what counts.
  if (!answered && answered.error().code != ErrorCode::kUnavailable) return answered;
  if (connection_->WaitGone(deadline)) return {};
  if (!answered) return answered;
  return Fail(ErrorCode::kDeadlineExceeded, "the shim of pod {} did not end in time", pod_.value());
}

}  // namespace catamaran
