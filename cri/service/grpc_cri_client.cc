#include "cri/service/grpc_cri_client.h"

#include "cri/api/runtime.grpc.pb.h"
#include "cri/service/grpc_channel.h"

namespace catamaran {
namespace {

class Client final : public CriClient {
 public:
  Client(const std::shared_ptr<grpc::Channel>& channel, std::chrono::seconds patience)
      : patience_(patience),
        runtime_(v1::RuntimeService::NewStub(channel)),
        images_(v1::ImageService::NewStub(channel)) {}

#define CATAMARAN_CALL(service, rpc)                                           \
  Result<v1::rpc##Response> rpc(const v1::rpc##Request& request) override {    \
    grpc::ClientContext context;                                               \
    context.set_deadline(std::chrono::system_clock::now() + patience_);        \
    v1::rpc##Response response;                                                \
    const grpc::Status status = service##_->rpc(&context, request, &response); \
    if (status.ok()) return response;                                          \
    return tl::unexpected<Error>(ErrorOf(status).While(#rpc));                 \
  }
  CATAMARAN_CALL(runtime, Version)
  CATAMARAN_CALL(runtime, Status)
  CATAMARAN_CALL(runtime, ListPodSandbox)
  CATAMARAN_CALL(runtime, PodSandboxStatus)
  CATAMARAN_CALL(runtime, ListPodSandboxStats)
  CATAMARAN_CALL(runtime, ListContainers)
  CATAMARAN_CALL(runtime, ContainerStatus)
  CATAMARAN_CALL(images, ListImages)
  CATAMARAN_CALL(images, ImageFsInfo)
#undef CATAMARAN_CALL

 private:
  const std::chrono::seconds patience_;
  const std::unique_ptr<v1::RuntimeService::Stub> runtime_;
  const std::unique_ptr<v1::ImageService::Stub> images_;
};

}  // namespace

Result<std::unique_ptr<CriClient>> CriClient::Create(const std::string& listen,
                                                     std::chrono::seconds patience) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  ASSIGN_OR_RETURN(const auto channel, ChannelTo(listen, arguments));
  return std::make_unique<Client>(channel, patience);
}

}  // namespace catamaran
