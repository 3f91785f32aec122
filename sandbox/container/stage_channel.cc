#include "sandbox/container/stage_channel.h"

#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumPacket = 64 << 10;

std::string EncodeError(const Error& error) {
  spec::Error message;
  message.set_code(static_cast<uint32_t>(error.code));
  message.set_system_errno(error.system_errno);
  message.set_message(error.message.substr(0, kMaximumPacket / 2));
  message.set_subject(static_cast<spec::Error::Subject>(error.subject));
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
      message.error = Error{static_cast<ErrorCode>(error.code()), error.system_errno(),
                            error.message(), static_cast<ErrorSubject>(error.subject())};
      return message;
    case StageMessage::Kind::kStart:
    case StageMessage::Kind::kBuilt:
    case StageMessage::Kind::kContinue:
      return message;
  }
  return Fail(ErrorCode::kInternal, "a malformed message of kind {} from the container's init",
              static_cast<int>(message.kind));
}

}  // namespace

Result<StageChannel::Ends> StageChannel::Make() {
  ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_SEQPACKET));
  RETURN_IF_ERROR(SetNonBlocking(sockets.ours.get()));
  return Ends{StageChannel(std::move(sockets.ours)), StageChannel(std::move(sockets.theirs))};
}

Status StageChannel::Send(StageMessage::Kind kind, const std::string& payload, int fd) const {
  const std::span<const int> descriptors(&fd, fd >= 0 ? 1 : 0);
  auto sent = SendWithDescriptors(fd_.get(), static_cast<char>(kind) + payload, descriptors);
  if (!sent) return tl::unexpected(std::move(sent).error().While("stage channel"));
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
Status StageChannel::SendBuilt() const { return Send(StageMessage::Kind::kBuilt, "", -1); }
Status StageChannel::SendContinue() const { return Send(StageMessage::Kind::kContinue, "", -1); }

Result<std::optional<StageMessage>> StageChannel::Receive() const {
  std::string packet(kMaximumPacket, '\0');
  auto received = ReceiveWithDescriptors(fd_.get(), packet, 1);
  // A child that was killed resets the connection; that is its end as well.
  if (received ? received->size == 0 : received.error().system_errno == ECONNRESET)
    return std::nullopt;
  if (!received) return tl::unexpected(std::move(received).error().While("stage channel"));
  UniqueFd descriptor;
  if (!received->descriptors.empty()) descriptor = std::move(received->descriptors[0]);
  ASSIGN_OR_RETURN(auto decoded, Decode(std::string_view(packet).substr(0, received->size),
                                        std::move(descriptor)));
  return decoded;
}

Status StageOrder::Received(StageMessage::Kind kind) {
  if (kind == StageMessage::Kind::kFailed && state_ != State::kFailed) {
    state_ = State::kFailed;
    return {};
  }
  if (state_ == State::kPreparing && kind == StageMessage::Kind::kDescriptor) return {};
  if (state_ == State::kPreparing && kind == StageMessage::Kind::kBuilt) {
    state_ = State::kBuilt;
    return {};
  }
  if (state_ == State::kPreparing && kind == StageMessage::Kind::kPrepared) {
    state_ = State::kPrepared;
    return {};
  }
  return Fail(ErrorCode::kInternal, "message {} of the container's init is out of turn",
              static_cast<int>(kind));
}

Status StageOrder::Continued() {
  if (state_ != State::kBuilt)
    return Fail(ErrorCode::kFailedPrecondition, "the container's init does not wait for hooks");
  state_ = State::kPreparing;
  return {};
}

Status StageOrder::Started() {
  if (state_ != State::kPrepared)
    return Fail(ErrorCode::kFailedPrecondition, "the container's init is not prepared");
  state_ = State::kStarted;
  return {};
}

}  // namespace catamaran
