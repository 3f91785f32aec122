#include "cri/service/grpc_client.h"

#include "cri/service/control.grpc.pb.h"
#include "cri/service/grpc_channel.h"

namespace catamaran {
namespace {

DaemonClient::ImageLine ToLine(const control::LoadedImage& image) {
  return {image.id(),
          {image.repo_tags().begin(), image.repo_tags().end()},
          image.size_bytes(),
          image.shared_bytes(),
          image.pinned()};
}

class Client final : public DaemonClient {
 public:
  explicit Client(std::shared_ptr<grpc::Channel> channel)
      : control_(control::Control::NewStub(channel)) {}

  Result<std::vector<ImageLine>> LoadImage(
      const HostPath& source, const std::string& reference,
      const std::function<void(const ImageStore::Progress&)>& progress) override {
    grpc::ClientContext context;
    control::LoadImageRequest request;
    request.set_source(source.string());
    request.set_reference(reference);
    return ReadEvents(*control_->LoadImage(&context, request), progress);
  }

  Result<std::vector<ImageLine>> PullImage(
      const std::string& reference, const Credentials& credentials,
      const std::function<void(const ImageStore::Progress&)>& progress) override {
    grpc::ClientContext context;
    control::PullImageRequest request;
    request.set_reference(reference);
    request.set_username(credentials.username);
    request.set_password(credentials.password);
    request.set_identity_token(credentials.identity_token);
    request.set_registry_token(credentials.registry_token);
    return ReadEvents(*control_->PullImage(&context, request), progress);
  }

  Result<std::vector<ImageLine>> ListImages() override {
    grpc::ClientContext context;
    return ReadEvents(*control_->ListImages(&context, {}), {});
  }

  Result<std::vector<std::string>> Reload() override {
    grpc::ClientContext context;
    control::ReloadResponse response;
    const grpc::Status status = control_->Reload(&context, {}, &response);
    if (!status.ok()) return tl::unexpected<Error>(ErrorOf(status));
    return std::vector<std::string>(response.changes().begin(), response.changes().end());
  }

 private:
  static Result<std::vector<ImageLine>> ReadEvents(
      grpc::ClientReader<control::ImageEvent>& reader,
      const std::function<void(const ImageStore::Progress&)>& progress) {
    std::vector<ImageLine> lines;
    for (control::ImageEvent event; reader.Read(&event);) {
      if (event.has_loaded()) {
        lines.push_back(ToLine(event.loaded()));
      } else if (progress) {
        const auto& layer = event.progress();
        progress({layer.layer(), layer.done_bytes(), layer.total_bytes(), layer.finished()});
      }
    }
    const grpc::Status status = reader.Finish();
    if (!status.ok()) return tl::unexpected<Error>(ErrorOf(status));
    return lines;
  }

  std::unique_ptr<control::Control::Stub> control_;
};

}  // namespace

Result<std::unique_ptr<DaemonClient>> DaemonClient::Create(const std::string& listen) {
  ASSIGN_OR_RETURN(auto channel, ChannelTo(listen));
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace catamaran
