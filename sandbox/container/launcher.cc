#include "sandbox/container/launcher.h"

#include "sandbox/base/abort_step.h"
#include "sandbox/container/init.h"

namespace catamaran {

Result<std::unique_ptr<Launcher>> Launcher::Clone(EventLoop& loop, const CloneOptions& options,
                                                  const UserNamespaceEntry& entry, Body body,
                                                  Prepared prepared) {
  ASSIGN_OR_RETURN(auto ends, StageChannel::Make());
  std::unique_ptr<Launcher> launcher(new Launcher(std::move(ends.parent)));
  launcher->prepared_ = std::move(prepared);
  ASSIGN_OR_RETURN(launcher->watch_,
                   loop.WatchFd(launcher->channel_.fd(), EPOLLIN,
                                [raw = launcher.get()](uint32_t) { raw->OnReadable(); }));
  ASSIGN_OR_RETURN(launcher->child_, CloneProcess(options, entry, [&body, &channel = ends.child] {
                     return body(channel);
                   }));
  AbortStep();
  return launcher;
}

Status Launcher::Continue() {
  RETURN_IF_ERROR(order_.Continued());
  return channel_.SendContinue();
}

void Launcher::Start(Signal signal, Started started) {
  Status sent = order_.Started();
  if (sent && signal == Signal::kSend) sent = channel_.SendStart();
  if (!sent) {
    started(std::move(sent));
    return;
  }
  started_ = std::move(started);
}

bool Launcher::OnReadable() {
  auto received = channel_.Receive();
  if (!received) {
    if (received.error().system_errno != EAGAIN) OnEnd(tl::unexpected(std::move(received).error()));
    return false;
  }
  if (!*received) {
    // The end of the stream: execve closed it, or the process is dead.
    OnEnd(order_.ran_at_end()
              ? Status()
              : Fail(ErrorCode::kInternal, "the process ended while it was being prepared"));
    return false;
  }
  const StageMessage::Kind kind = (*received)->kind;
  spec::ResolvedUser user = (*received)->user;
  if (auto accepted = Accept(std::move(**received)); !accepted) {
    OnEnd(std::move(accepted));
    return false;
  }
  if (kind == StageMessage::Kind::kBuilt && built_) built_();
  if (kind == StageMessage::Kind::kPrepared) {
    auto callback = std::move(prepared_);
    callback(std::move(user));
  }
  return true;
}

void Launcher::Drain() {
  while (watch_.active() && OnReadable()) {
  }
}

Status Launcher::Accept(StageMessage message) {
  RETURN_IF_ERROR(order_.Received(message.kind));
  if (message.kind == StageMessage::Kind::kFailed) return tl::unexpected(std::move(message.error));
  if (message.kind != StageMessage::Kind::kDescriptor) return {};
  if (message.name == kTerminalDescriptor) {
    terminal_ = std::move(message.descriptor);
  } else if (message.name == kDevptsDescriptor) {
    devpts_ = std::move(message.descriptor);
  }
  return {};
}

void Launcher::OnEnd(Status status) {
  watch_.Cancel();
  if (prepared_) {
    auto callback = std::move(prepared_);
    callback(tl::unexpected(std::move(status).error()));
  } else if (started_) {
    auto callback = std::move(started_);
    callback(std::move(status));
  }
}

}  // namespace catamaran
