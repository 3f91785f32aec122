#include "e2e/harness/cri_client.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "cri/api/runtime.grpc.pb.h"

namespace catamaran::e2e {
namespace {

constexpr int kLargestMessage = 16 << 20;  // what the kubelet accepts

Error ErrorOf(const grpc::Status& status) {
  return {static_cast<ErrorCode>(status.error_code()), 0, status.error_message()};
}

}  // namespace

struct CriClient::Stubs {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::RuntimeService::Stub> runtime;
  std::unique_ptr<v1::ImageService::Stub> images;
};

CriClient::CriClient(const std::string& endpoint) : endpoint_(endpoint) { Reconnect(); }
CriClient::~CriClient() = default;

void CriClient::Reconnect() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  // Channels of one process share a connection, and its back-off, unless told not to.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stubs_ = std::make_unique<Stubs>();
  stubs_->channel =
      grpc::CreateCustomChannel(endpoint_, grpc::InsecureChannelCredentials(), arguments);
  stubs_->runtime = v1::RuntimeService::NewStub(stubs_->channel);
  stubs_->images = v1::ImageService::NewStub(stubs_->channel);
}

void CriClient::SendAlong(const std::string& name, const std::string& value) {
  const std::lock_guard lock(metadata_mutex_);
  metadata_[name] = value;
}

std::map<std::string, std::string> CriClient::Metadata() const {
  const std::lock_guard lock(metadata_mutex_);
  return metadata_;
}

Reply<std::string> CriClient::CallEmpty(const std::string& method) {
  grpc::GenericStub stub(stubs_->channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));
  grpc::CompletionQueue queue;
  grpc::Slice empty;
  grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer answer;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/runtime.v1." + method, request, &queue);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return {ErrorOf(status), {}};
}

#define CATAMARAN_CRI_VERB(service, Verb)                                             \
  Reply<v1::Verb##Response> CriClient::Verb(const v1::Verb##Request& request,         \
                                            std::chrono::seconds limit) {             \
    Reply<v1::Verb##Response> reply;                                                  \
    grpc::ClientContext context;                                                      \
    context.set_deadline(std::chrono::system_clock::now() + limit);                   \
    for (const auto& [name, value] : Metadata())                                      \
      if (!value.empty()) context.AddMetadata(name, value);                           \
    reply.error = ErrorOf(stubs_->service->Verb(&context, request, &reply.response)); \
    return reply;                                                                     \
  }
CATAMARAN_CRI_VERBS(CATAMARAN_CRI_VERB)

#define CATAMARAN_CRI_STREAM(Verb)                                                               \
  Reply<std::vector<v1::Verb##Response>> CriClient::Verb(const v1::Verb##Request& request) {     \
    Reply<std::vector<v1::Verb##Response>> reply;                                                \
    grpc::ClientContext context;                                                                 \
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(120));          \
    auto reader = stubs_->runtime->Verb(&context, request);                                      \
    for (v1::Verb##Response message; reader->Read(&message);) reply.response.push_back(message); \
    reply.error = ErrorOf(reader->Finish());                                                     \
    return reply;                                                                                \
  }
CATAMARAN_CRI_STREAMS(CATAMARAN_CRI_STREAM)

}  // namespace catamaran::e2e
