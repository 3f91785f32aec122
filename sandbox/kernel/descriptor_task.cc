#include "sandbox/kernel/descriptor_task.h"

#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

Status SendDescriptor(int socket, int descriptor) {
  auto sent = SendWithDescriptors(socket, "d", std::span<const int>(&descriptor, 1));
  if (!sent) return tl::unexpected<Error>(std::move(sent).error());
  return {};
}

Result<UniqueFd> ReceiveDescriptor(int socket) {
  char byte;
  auto received = ReceiveWithDescriptors(socket, std::span<char>(&byte, 1), 1, MSG_DONTWAIT);
  if (!received) return tl::unexpected<Error>(std::move(received).error());
  if (received->descriptors.empty())
    return Fail(ErrorCode::kInternal, "no descriptor came with the message");
  return std::move(received->descriptors[0]);
}

}  // namespace

std::unique_ptr<ChildTask> StartDescriptorTask(EventLoop& loop,
                                               UniqueFunction<Result<UniqueFd>()> work,
                                               UniqueFunction<void(Result<UniqueFd>)> done) {
  SocketPair pair;
  // Without one the sending fails, and that is reported.
  if (auto made = MakeSocketPair(SOCK_SEQPACKET)) pair = std::move(*made);
  return ChildTask::Start(
      loop,
      [work = std::move(work), theirs = std::move(pair.theirs)]() mutable -> Result<std::string> {
        ASSIGN_OR_RETURN(const UniqueFd opened, work());
        RETURN_IF_ERROR(SendDescriptor(theirs.get(), opened.get()));
        return std::string();
      },
      [ours = std::move(pair.ours), done = std::move(done)](Result<std::string> report) mutable {
        if (!report) return done(tl::unexpected<Error>(std::move(report).error()));
        done(ReceiveDescriptor(ours.get()));
      });
}

}  // namespace catamaran
