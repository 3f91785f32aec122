#include "sandbox/protocol/backend_server.h"

#include "sandbox/protocol/server_connection.h"

namespace catamaran {

BackendServer::BackendServer(EventLoop& loop, SandboxBackend& backend, Options options)
    : loop_(loop), backend_(backend), options_(std::move(options)) {
  backend_.SetEventSink([this, alive = std::weak_ptr<int>(alive_)](const pod::Event& event) {
    if (!alive.expired()) Broadcast(event);
  });
}

BackendServer::~BackendServer() = default;

Status BackendServer::Serve(std::unique_ptr<MessageChannel> channel) {
  const uint64_t id = next_id_++;
  auto connection = std::make_unique<Connection>(*this, id, std::move(channel));
  RETURN_IF_ERROR(connection->Start());
  connections_[id] = std::move(connection);
  return {};
}

bool BackendServer::Idle() const {
  for (const auto& [id, connection] : connections_)
    if (!connection->Idle()) return false;
  return true;
}

void BackendServer::Broadcast(const pod::Event& event) {
  for (auto& [id, connection] : connections_) connection->SendEvent(event);
}

void BackendServer::Forget(uint64_t id) {
  connections_.erase(id);
  if (options_.on_connection_closed) options_.on_connection_closed();
}

}  // namespace catamaran
