#include "sandbox/container/stage_channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumPacket = 64 << 10;

std::string EncodeError(const Error& error) {
  spec::Error message;
  message.set_code(static_cast<uint32_t>(error.code));
  message.set_system_errno(error.system_errno);
  message.set_message(error.message.substr(0, kMaximumPacket / 2));
  return message.SerializeAsString();
}

Result<StageMessage> Decode(std::string_view packet, UniqueFd descriptor) {
  StageMessage message;
  message.kind = static_cast<StageMessage::Kind>(packet[0]);
  const std::string payload(packet.substr(1));
  message.descriptor = std::move(descriptor);
  spec::Error error;
  switch (message.kind) {
    case StageMessage::Kind::kDescriptor:
      message.name = payload;
      if (message.descriptor.valid()) return message;
      break;
    case StageMessage::Kind::kPrepared:
      if (message.user.ParseFromString(payload)) return message;
      break;
    case StageMessage::Kind::kFailed:
      if (!error.ParseFromString(payload)) break;
      message.error =
          Error{static_cast<ErrorCode>(error.code()), error.system_errno(), error.message()};
      return message;
    case StageMessage::Kind::kStart:
      return message;
  }
  return Fail(ErrorCode::kInternal, "a malformed message of kind {} from the container's init",
              static_cast<int>(message.kind));
}

}  // namespace

Result<StageChannel::Ends> StageChannel::Make() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
    return FailWithErrno("socketpair");
  Ends ends{StageChannel(UniqueFd(fds[0])), StageChannel(UniqueFd(fds[1]))};
  RETURN_IF_ERROR(SetNonBlocking(fds[0]));
  return ends;
}

Status StageChannel::Send(StageMessage::Kind kind, const std::string& payload, int fd) const {
  std::string packet(1, static_cast<char>(kind));
  packet += payload;
  iovec data{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return FailWithErrno("send on the stage channel");
  return {};
}

Status StageChannel::SendDescriptor(const std::string& name, int fd) const {
  return Send(StageMessage::Kind::kDescriptor, name, fd);
}
Status StageChannel::SendPrepared(const spec::ResolvedUser& user) const {
  return Send(StageMessage::Kind::kPrepared, user.SerializeAsString(), -1);
}
Status StageChannel::SendFailed(const Error& error) const {
  return Send(StageMessage::Kind::kFailed, EncodeError(error), -1);
}
Status StageChannel::SendStart() const { return Send(StageMessage::Kind::kStart, "", -1); }

Result<std::optional<StageMessage>> StageChannel::Receive() const {
  std::string packet(kMaximumPacket, '\0');
  iovec data{packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length;
  do {
    length = recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  // A child that was killed resets the connection; that is its end as well.
  if (length == 0 || (length < 0 && errno == ECONNRESET)) return std::nullopt;
  if (length < 0) return FailWithErrno("receive on the stage channel");
  UniqueFd descriptor;
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    descriptor.Reset(fd);
  }
  ASSIGN_OR_RETURN(auto decoded,
                   Decode(std::string_view(packet).substr(0, length), std::move(descriptor)));
  return decoded;
}

Status StageOrder::Received(StageMessage::Kind kind) {
  if (kind == StageMessage::Kind::kFailed && state_ != State::kFailed) {
    state_ = State::kFailed;
    return {};
  }
  if (state_ == State::kPreparing && kind == StageMessage::Kind::kDescriptor) return {};
  if (state_ == State::kPreparing && kind == StageMessage::Kind::kPrepared) {
    state_ = State::kPrepared;
    return {};
  }
  return Fail(ErrorCode::kInternal, "message {} of the container's init is out of turn",
              static_cast<int>(kind));
}

Status StageOrder::Started() {
  if (state_ != State::kPrepared)
    return Fail(ErrorCode::kFailedPrecondition, "the container's init is not prepared");
  state_ = State::kStarted;
  return {};
}

}  // namespace catamaran
