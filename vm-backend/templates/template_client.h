#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/templates/template.pb.h"
#include "vm-backend/templates/template_files.h"

namespace catamaran {

// A shim's question to the template keeper at `socket_path`, asked when made, answered once through
// `done` (never from within Ask) unless this is destroyed before. Every error means "boot cold" and
// says why: kNotFound (there is none; it may be in the making), kUnavailable (no keeper),
// kDeadlineExceeded.
class TemplateQuestion {
 public:
  static std::unique_ptr<TemplateQuestion> Ask(EventLoop& loop, const std::string& socket_path,
                                               const vm::TemplateRequest& request,
                                               std::chrono::milliseconds patience,
                                               Completion<Template> done);

 private:
  TemplateQuestion(EventLoop& loop, Completion<Template> done)
      : loop_(loop), done_(std::move(done)) {}
  Status Send(const std::string& socket_path, const vm::TemplateRequest& request,
              std::chrono::milliseconds patience);
  void OnReply();
  void Finish(Result<Template> answer);

  EventLoop& loop_;
  Completion<Template> done_;
  UniqueFd socket_;
  EventLoop::Watch reply_watch_;
  EventLoop::Watch timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace catamaran
