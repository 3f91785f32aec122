#include "shim/log_process.h"

#include <sys/prctl.h>

#include <map>
#include <memory>

#include "sandbox/protocol/error_wire.h"
#include "sandbox/protocol/unix_channel.h"
#include "shim/container_log.h"
#include "shim/log_process.pb.h"

namespace catamaran {
namespace {

class LogProcess {
 public:
  LogProcess(EventLoop& loop, std::unique_ptr<MessageChannel> channel)
      : loop_(loop), channel_(std::move(channel)) {}

  Status Start() {
    MessageChannel::Callbacks callbacks;
    callbacks.on_message = [this](Message message) { OnMessage(std::move(message)); };
    callbacks.on_closed = [this](const Error&) {
      for (auto& [id, log] : logs_) log->Drain();
      loop_.Stop();
    };
    return channel_->Start(std::move(callbacks));
  }

 private:
  void OnMessage(Message message) {
    log::LogRequest request;
    if (!request.ParseFromString(message.body)) return channel_->EndSession();
    const Status status = Serve(request, std::move(message.fds));
    log::LogReply reply;
    reply.set_id(request.id());
    if (!status) *reply.mutable_error() = ErrorToWire(status.error());
    Message answer;
    answer.type = MessageType::kResponse;
    answer.body = reply.SerializeAsString();
    (void)channel_->Send(std::move(answer));
  }

  Status Serve(const log::LogRequest& request, std::vector<UniqueFd> fds) {
    const std::string& id = request.container_id();
    if (request.verb() == log::LogRequest::ADD) {
      UniqueFd out = fds.empty() ? UniqueFd() : std::move(fds[0]);
      UniqueFd err = fds.size() < 2 ? UniqueFd() : std::move(fds[1]);
      ASSIGN_OR_RETURN(logs_[id],
                       ContainerLog::Open(loop_, request.path(), std::move(out), std::move(err)));
      if (request.resumed()) logs_[id]->TellOfGap();
      return {};
    }
    auto found = logs_.find(id);
    if (found == logs_.end() || !found->second)
      return Fail(ErrorCode::kNotFound, "container {} has no log", id);
    switch (request.verb()) {
      case log::LogRequest::REOPEN:
        return found->second->Reopen();
      case log::LogRequest::DRAIN:
        found->second->Drain();
        return {};
      case log::LogRequest::ATTACH: {
        if (fds.size() != (request.out() ? 1u : 0u) + (request.err() ? 1u : 0u))
          return Fail(ErrorCode::kInvalidArgument, "{} descriptors to attach", fds.size());
        UniqueFd out = request.out() ? std::move(fds.front()) : UniqueFd();
        UniqueFd err = request.err() ? std::move(fds.back()) : UniqueFd();
        return found->second->Attach(std::move(out), std::move(err));
      }
      case log::LogRequest::REMOVE:
        found->second->Drain();
        logs_.erase(found);
        return {};
      default:
        return Fail(ErrorCode::kUnimplemented, "log verb {}", request.verb());
    }
  }

  EventLoop& loop_;
  std::unique_ptr<MessageChannel> channel_;
  std::map<std::string, std::unique_ptr<ContainerLog>> logs_;
};

}  // namespace

int RunLogProcess(UniqueFd socket) {
  prctl(PR_SET_NAME, "catamaran-log");
  auto loop = EventLoop::Create();
  if (!loop) return 1;
  auto channel = MakeUnixChannel(**loop, std::move(socket));
  if (!channel) return 1;
  LogProcess process(**loop, std::move(*channel));
  if (!process.Start()) return 1;
  return (*loop)->Run() ? 0 : 1;
}

}  // namespace catamaran
