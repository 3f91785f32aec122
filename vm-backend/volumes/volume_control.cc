#include "vm-backend/volumes/volume_control.h"

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {

Status SendVolumeCommand(int socket, const VolumeCommand& command, int descriptor) {
  const std::string_view bytes(reinterpret_cast<const char*>(&command), sizeof command);
  const std::span<const int> descriptors(&descriptor, descriptor >= 0 ? 1 : 0);
  auto sent = SendWithDescriptors(socket, bytes, descriptors, MSG_DONTWAIT);
  if (!sent) return tl::unexpected(std::move(sent).error().While("volume channel"));
  return {};
}

Result<ReceivedVolumeCommand> ReceiveVolumeCommand(int socket) {
  ReceivedVolumeCommand received;
  const std::span<char> buffer(reinterpret_cast<char*>(&received.command), sizeof(VolumeCommand));
  auto bytes = ReceiveWithDescriptors(socket, buffer, 1, MSG_DONTWAIT);
  if (!bytes && bytes.error().code == ErrorCode::kResourceExhausted) {
    // The message itself is in the buffer, recvmsg(2): MSG_CTRUNC.
    received.command.problem = EMFILE;
    return received;
  }
  if (!bytes) return tl::unexpected(std::move(bytes).error().While("volume channel"));
  if (bytes->size == 0) return Fail(ErrorCode::kUnavailable, "the volume channel was closed");
  if (bytes->size != sizeof received.command)
    return Fail(ErrorCode::kInternal, "volume message of {} bytes", bytes->size);
  if (!bytes->descriptors.empty()) received.descriptor = std::move(bytes->descriptors[0]);
  return received;
}

}  // namespace catamaran
