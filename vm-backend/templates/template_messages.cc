#include "vm-backend/templates/template_messages.h"

#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

namespace catamaran {
namespace {

constexpr size_t kMaxMessage = 64 << 10;

struct Received {
  std::string body;
  std::vector<UniqueFd> descriptors;
};

Status SendMessage(int socket, const std::string& body, const Template* files) {
  iovec data{const_cast<char*>(body.data()), body.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (files != nullptr) {
    const int descriptors[2] = {files->memory.get(), files->state.get()};
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(header), descriptors, sizeof descriptors);
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return FailWithErrno("send to the template keeper's peer");
  return {};
}

Result<Received> ReceiveMessage(int socket) {
  Received received;
  received.body.resize(kMaxMessage);
  iovec data{received.body.data(), received.body.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return FailWithErrno("receive from the template keeper's peer");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < descriptors; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      received.descriptors.emplace_back(fd);
    }
  }
  if (count == 0) return Fail(ErrorCode::kUnavailable, "the connection was closed");
  received.body.resize(count);
  return received;
}

}  // namespace

Status SendTemplateRequest(int socket, const vm::TemplateRequest& request) {
  return SendMessage(socket, request.SerializeAsString(), nullptr);
}

Result<vm::TemplateRequest> ReceiveTemplateRequest(int socket) {
  ASSIGN_OR_RETURN(const Received received, ReceiveMessage(socket));
  vm::TemplateRequest request;
  if (!request.ParseFromString(received.body))
    return Fail(ErrorCode::kInvalidArgument, "a request for a template that cannot be read");
  return request;
}

Status SendTemplateReply(int socket, const vm::TemplateReply& reply, const Template* files) {
  return SendMessage(socket, reply.SerializeAsString(), files);
}

Result<ReceivedTemplateReply> ReceiveTemplateReply(int socket) {
  ASSIGN_OR_RETURN(Received received, ReceiveMessage(socket));
  ReceivedTemplateReply result;
  if (!result.reply.ParseFromString(received.body) ||
      result.reply.found() != (received.descriptors.size() == 2))
    return Fail(ErrorCode::kInternal, "the template keeper's answer cannot be read");
  if (result.reply.found())
    result.files = Template{std::move(received.descriptors[0]), std::move(received.descriptors[1])};
  return result;
}

}  // namespace catamaran
