#include "shim/shim_server.h"

#include <sys/socket.h>

#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

// The answer to the last request is given this long to leave.
constexpr std::chrono::milliseconds kStopPoll(2);
constexpr int kStopRounds = 1000;

}  // namespace

ShimServer::ShimServer(EventLoop& loop, PodShim& pod, UniqueFd listener, std::string build)
    : loop_(loop),
      pod_(pod),
      listener_(std::move(listener)),
      server_(
          loop, pod,
          {.build = std::move(build),
           .name = "shim",
           .reopen_log = [&pod](const pod::ReopenLogRequest& request,
                                Done done) { pod.ReopenLog(request, std::move(done)); },
           .attach =
               [&pod](const pod::AttachRequest& request, Stdio stdio, Completion<UniqueFd> done) {
                 pod.Attach(request, std::move(stdio), std::move(done));
               },
           .shutdown = [this](Done done) { Shutdown(std::move(done)); },
           .on_connection_closed = {}}) {}

Status ShimServer::Start() {
  RETURN_IF_ERROR(SetNonBlocking(listener_.get()));
  ASSIGN_OR_RETURN(accept_watch_,
                   loop_.WatchFd(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); }));
  return {};
}

void ShimServer::Accept() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid() || !CheckPeer(socket.get())) return;
  auto channel = MakeUnixChannel(loop_, std::move(socket));
  if (channel) (void)server_.Serve(std::move(*channel));
}

void ShimServer::Shutdown(Done done) {
  accept_watch_.Cancel();
  pod_.Shutdown([this, done = std::move(done)](Result<void> result) mutable {
    done(std::move(result));
    StopWhenAnswered();
  });
}

void ShimServer::StopWhenAnswered() {
  if (server_.Idle() || ++stop_rounds_ > kStopRounds) return loop_.Stop();
  auto timer = loop_.RunAfter(kStopPoll, [this] { StopWhenAnswered(); });
  if (!timer) return loop_.Stop();
  stop_timer_ = std::move(*timer);
}

}  // namespace catamaran
