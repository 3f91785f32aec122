#include "vm-backend/templates/template_client.h"

#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/templates/template_messages.h"

namespace catamaran {

std::unique_ptr<TemplateQuestion> TemplateQuestion::Ask(EventLoop& loop,
                                                        const std::string& socket_path,
                                                        const vm::TemplateRequest& request,
                                                        std::chrono::milliseconds patience,
                                                        Completion<Template> done) {
  std::unique_ptr<TemplateQuestion> question(new TemplateQuestion(loop, std::move(done)));
  auto sent = question->Send(socket_path, request, patience);
  if (!sent) {
    loop.Post([self = question.get(), alive = std::weak_ptr(question->alive_),
               error = std::move(sent).error()]() mutable {
      if (!alive.expired()) self->Finish(tl::unexpected(std::move(error)));
    });
  }
  return question;
}

Status TemplateQuestion::Send(const std::string& socket_path, const vm::TemplateRequest& request,
                              std::chrono::milliseconds patience) {
  auto connected = ConnectUnix(socket_path, SOCK_SEQPACKET);
  if (!connected)
    return Fail(ErrorCode::kUnavailable, "no template keeper: {}", connected.error().message);
  socket_ = std::move(*connected);
  RETURN_IF_ERROR(SendTemplateRequest(socket_.get(), request));
  ASSIGN_OR_RETURN(reply_watch_,
                   loop_.WatchFd(socket_.get(), EPOLLIN, [this](uint32_t) { OnReply(); }));
  ASSIGN_OR_RETURN(timer_, loop_.RunAfter(patience, [this] {
    Finish(Fail(ErrorCode::kDeadlineExceeded, "the template keeper did not answer"));
  }));
  return {};
}

void TemplateQuestion::OnReply() {
  auto received = ReceiveTemplateReply(socket_.get());
  if (!received) {
    if (received.error().system_errno != EAGAIN)
      Finish(tl::unexpected(std::move(received).error()));
    return;
  }
  if (!received->reply.found())
    return Finish(Fail(ErrorCode::kNotFound, "no template: {}", received->reply.reason()));
  Finish(std::move(received->files));
}

void TemplateQuestion::Finish(Result<Template> answer) {
  reply_watch_.Cancel();
  timer_.Cancel();
  auto done = std::move(done_);
  done(std::move(answer));
}

}  // namespace catamaran
