#include "vm-backend/volumes/volume_control.h"

#include <sys/socket.h>

#include <cstring>

namespace catamaran {

Status SendVolumeCommand(int socket, const VolumeCommand& command, int descriptor) {
  iovec data{const_cast<VolumeCommand*>(&command), sizeof command};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    return FailWithErrno("send to the volume server");
  return {};
}

Result<ReceivedVolumeCommand> ReceiveVolumeCommand(int socket) {
  ReceivedVolumeCommand received;
  iovec data{&received.command, sizeof received.command};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0) return FailWithErrno("receive from the volume channel");
  if (count == 0) return Fail(ErrorCode::kUnavailable, "the volume channel was closed");
  if (cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    received.descriptor.Reset(descriptor);
  }
  if (static_cast<size_t>(count) != sizeof received.command)
    return Fail(ErrorCode::kInternal, "volume message of {} bytes", count);
  return received;
}

}  // namespace catamaran
