#include "cri/nri/testing/test_plugin.h"

#include <fcntl.h>

#include <algorithm>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {

Result<std::unique_ptr<TestPlugin>> TestPlugin::Connect(const std::string& socket,
                                                        Options options) {
  ASSIGN_OR_RETURN(UniqueFd connected, ConnectUnix(socket));
  return Begin(std::move(connected), std::move(options));
}

Result<std::unique_ptr<TestPlugin>> TestPlugin::Begin(UniqueFd socket, Options options) {
  std::unique_ptr<TestPlugin> plugin(new TestPlugin(std::move(options)));
  TestPlugin* self = plugin.get();
  plugin->connection_ = std::make_unique<TtrpcConnection>(
      std::move(socket),
      TtrpcConnection::Options{
          .calls_on = kRuntimeConnection,
          .serves_on = kPluginConnection,
          .serve = [self](const std::string&, const std::string& method,
                          const std::string& payload) { return self->Serve(method, payload); },
          .on_closed =
              [self] {
                std::lock_guard lock(self->mutex_);
                self->closed_ = true;
                self->changed_.notify_all();
              }});
  plugin->connection_->Start();
  if (!plugin->options_.registers) return plugin;
  nri::RegisterPluginRequest request;
  request.set_plugin_idx(plugin->options_.index);
  request.set_plugin_name(plugin->options_.name);
  ASSIGN_OR_RETURN(
      const auto answer,
      plugin->connection_->Call(kNriRuntimeService, "RegisterPlugin", request.SerializeAsString(),
                                Deadline::After(std::chrono::seconds(10))));
  if (answer.refused) return Fail(answer.code, "{}", answer.message);
  return plugin;
}

Result<std::string> TestPlugin::Serve(const std::string& method, const std::string& payload) {
  {
    std::lock_guard lock(mutex_);
    Event event{.method = method, .payload = payload};
    if (method != "Configure" && method != "Synchronize") {
      (void)event.request.ParseFromString(payload);
      // It has resources where others have a container.
      if (method == "UpdatePodSandbox") event.request.clear_container();
      events_.push_back(std::move(event));
    }
    changed_.notify_all();
  }
  Result<std::string> answer =
      options_.answer ? options_.answer(method, payload) : Result<std::string>("");
  if (answer && answer->empty()) answer = DefaultAnswer(method, payload);
  return answer;
}

Result<std::string> TestPlugin::DefaultAnswer(const std::string& method,
                                              const std::string& payload) {
  std::lock_guard lock(mutex_);
  if (method == "Configure") {
    nri::ConfigureRequest request;
    (void)request.ParseFromString(payload);
    config_ = request.config();
    nri::ConfigureResponse response;
    response.set_events(options_.events);
    return response.SerializeAsString();
  }
  if (method != "Synchronize") return std::string();
  nri::SynchronizeRequest request;
  (void)request.ParseFromString(payload);
  synchronized_.mutable_pods()->MergeFrom(request.pods());
  synchronized_.mutable_containers()->MergeFrom(request.containers());
  ++parts_;
  ready_ = !request.more();
  changed_.notify_all();
  nri::SynchronizeResponse response;
  response.set_more(request.more());
  return response.SerializeAsString();
}

bool TestPlugin::WaitUntilReady(Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline.at(), [&] { return ready_ || closed_; });
  return ready_;
}

bool TestPlugin::WaitUntilClosed(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return closed_; });
}

bool TestPlugin::WaitFor(const std::string& method, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] {
    return std::any_of(events_.begin(), events_.end(),
                       [&](const Event& event) { return event.method == method; });
  });
}

std::vector<TestPlugin::Event> TestPlugin::events() const {
  std::lock_guard lock(mutex_);
  return events_;
}

std::vector<std::string> TestPlugin::MethodsOf(const std::string& id) const {
  std::vector<std::string> methods;
  for (const Event& event : events()) {
    const bool of_container = event.request.has_container();
    if ((of_container ? event.request.container().id() : event.request.pod().id()) == id)
      methods.push_back(event.method);
  }
  return methods;
}

nri::SynchronizeRequest TestPlugin::synchronized() const {
  std::lock_guard lock(mutex_);
  return synchronized_;
}

int TestPlugin::synchronize_parts() const {
  std::lock_guard lock(mutex_);
  return parts_;
}

std::string TestPlugin::config() const {
  std::lock_guard lock(mutex_);
  return config_;
}

Result<nri::UpdateContainersResponse> TestPlugin::Update(
    const nri::UpdateContainersRequest& request, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto answer, connection_->Call(kNriRuntimeService, "UpdateContainers",
                                                        request.SerializeAsString(), deadline));
  if (answer.refused) return Fail(answer.code, "{}", answer.message);
  nri::UpdateContainersResponse response;
  if (!response.ParseFromString(answer.payload))
    return Fail(ErrorCode::kInternal, "no UpdateContainersResponse");
  return response;
}

}  // namespace catamaran
