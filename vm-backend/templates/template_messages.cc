#include "vm-backend/templates/template_messages.h"

#include <array>
#include <string>
#include <vector>

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

constexpr size_t kMaxMessage = 64 << 10;
constexpr size_t kFilesOfATemplate = 2;

struct Received {
  std::string body;
  std::vector<UniqueFd> descriptors;
};

Status SendMessage(int socket, const std::string& body, std::span<const int> descriptors) {
  auto sent = SendWithDescriptors(socket, body, descriptors, MSG_DONTWAIT);
  if (!sent) return tl::unexpected(std::move(sent).error().While("the template keeper's peer"));
  return {};
}

Result<Received> ReceiveMessage(int socket) {
  Received received;
  received.body.resize(kMaxMessage);
  auto bytes = ReceiveWithDescriptors(socket, received.body, kFilesOfATemplate, MSG_DONTWAIT);
  if (!bytes) return tl::unexpected(std::move(bytes).error().While("the template keeper's peer"));
  if (bytes->size == 0) return Fail(ErrorCode::kUnavailable, "the connection was closed");
  received.body.resize(bytes->size);
  received.descriptors = std::move(bytes->descriptors);
  return received;
}

}  // namespace

Status SendTemplateRequest(int socket, const vm::TemplateRequest& request) {
  return SendMessage(socket, request.SerializeAsString(), {});
}

Result<vm::TemplateRequest> ReceiveTemplateRequest(int socket) {
  ASSIGN_OR_RETURN(const Received received, ReceiveMessage(socket));
  vm::TemplateRequest request;
  if (!request.ParseFromString(received.body))
    return Fail(ErrorCode::kInvalidArgument, "a request for a template that cannot be read");
  return request;
}

Status SendTemplateReply(int socket, const vm::TemplateReply& reply, const Template* files) {
  if (files == nullptr) return SendMessage(socket, reply.SerializeAsString(), {});
  return SendMessage(socket, reply.SerializeAsString(),
                     std::array{files->memory.get(), files->state.get()});
}

Result<ReceivedTemplateReply> ReceiveTemplateReply(int socket) {
  ASSIGN_OR_RETURN(Received received, ReceiveMessage(socket));
  ReceivedTemplateReply result;
  if (!result.reply.ParseFromString(received.body) ||
      result.reply.found() != (received.descriptors.size() == kFilesOfATemplate))
    return Fail(ErrorCode::kInternal, "the template keeper's answer cannot be read");
  if (result.reply.found())
    result.files = Template{std::move(received.descriptors[0]), std::move(received.descriptors[1])};
  return result;
}

}  // namespace catamaran
