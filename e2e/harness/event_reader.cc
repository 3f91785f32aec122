#include "e2e/harness/event_reader.h"

#include <grpcpp/grpcpp.h>

#include <mutex>
#include <thread>

#include "cri/api/runtime.grpc.pb.h"

namespace catamaran::e2e {

namespace v1 = ::runtime::v1;

struct EventReader::State {
  std::unique_ptr<v1::RuntimeService::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::ContainerEventResponse>> reader;
  mutable std::mutex mutex;  // guards the two below
  std::vector<v1::ContainerEventResponse> events;
  bool ended = false;
  std::thread thread;
};

EventReader::EventReader(const std::string& endpoint) : state_(std::make_unique<State>()) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  state_->stub = v1::RuntimeService::NewStub(
      grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments));
  state_->reader = state_->stub->GetContainerEvents(&state_->context, {});
  state_->reader->WaitForInitialMetadata();
  state_->thread = std::thread([state = state_.get()] {
    v1::ContainerEventResponse event;
    while (state->reader->Read(&event)) {
      std::lock_guard lock(state->mutex);
      state->events.push_back(event);
    }
    std::lock_guard lock(state->mutex);
    state->ended = true;
  });
}

EventReader::~EventReader() {
  state_->context.TryCancel();
  state_->thread.join();
  state_->reader->Finish();
}

std::vector<v1::ContainerEventResponse> EventReader::Events() const {
  std::lock_guard lock(state_->mutex);
  return state_->events;
}

std::vector<std::string> EventReader::Of(const std::string& id) const {
  constexpr size_t kPrefix = sizeof("CONTAINER_") - 1, kSuffix = sizeof("_EVENT") - 1;
  std::vector<std::string> words;
  for (const auto& event : Events()) {
    if (event.container_id() != id) continue;
    const std::string name = v1::ContainerEventType_Name(event.container_event_type());
    words.push_back(name.substr(kPrefix, name.size() - kPrefix - kSuffix));
  }
  return words;
}

bool EventReader::ended() const {
  std::lock_guard lock(state_->mutex);
  return state_->ended;
}

}  // namespace catamaran::e2e
